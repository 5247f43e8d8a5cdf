// Which model: a checkpoint and, where it is served with LoRAs, which of them.
import { byCheckpoint, describeLoras, splitModelName } from "./model_names.js";
import { slot } from "./slots.js";

/** @import { Model } from "./wire.d.ts" */

export class ModelFields {
  #checkpoint;
  #checkpointField;
  #lora;
  #loraField;
  /** @type {readonly Model[]} */
  #models = [];

  /**
   * @param {HTMLElement} root
   * @param {{ onChange: () => void }} options
   */
  constructor(root, { onChange }) {
    this.#checkpoint = slot(root, "checkpoint", HTMLSelectElement);
    this.#checkpointField = slot(root, "checkpoint-field", HTMLElement);
    this.#lora = slot(root, "lora", HTMLSelectElement);
    this.#loraField = slot(root, "lora-field", HTMLElement);
    this.#checkpoint.addEventListener("change", () => {
      this.#showLoras();
      onChange();
    });
    this.#lora.addEventListener("change", onChange);
  }

  /** @param {readonly Model[]} models The one that is chosen stays so if it is among them. */
  set models(models) {
    const chosen = this.model?.id;
    this.#models = models;
    const checkpoints = [...byCheckpoint(models).keys()];
    this.#checkpoint.replaceChildren(...checkpoints.map((name) => new Option(name)));
    this.#checkpointField.hidden = checkpoints.length < 2;
    this.#showLoras();
    if (chosen !== undefined) this.choose(chosen);
  }

  /** The model that is chosen. */
  get model() {
    return this.#models.find(({ id }) => id === this.#lora.value);
  }

  /** @param {string} id Left as it is if there is no such model. */
  choose(id) {
    if (!this.#models.some((model) => model.id === id)) return;
    this.#checkpoint.value = splitModelName(id).checkpoint;
    this.#showLoras();
    this.#lora.value = id;
  }

  #showLoras() {
    const models = byCheckpoint(this.#models).get(this.#checkpoint.value) ?? [];
    this.#lora.replaceChildren(...models.map(({ id }) => new Option(describeLoras(id), id)));
    this.#loraField.hidden = models.every(({ id }) => splitModelName(id).loras.length === 0);
  }
}
