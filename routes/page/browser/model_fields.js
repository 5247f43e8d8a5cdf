// Which model: a checkpoint and, where it is served with LoRAs, which of them and how strong.
import {
  byCheckpoint,
  byLoras,
  describeLoras,
  describeWeights,
  nameLoras,
  splitModelName,
} from "./model_names.js";
import { slot } from "./slots.js";

/** @import { Model } from "./wire.d.ts" */

export class ModelFields {
  #checkpoint;
  #checkpointField;
  #lora;
  #loraField;
  #weight;
  #weightField;
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
    this.#weight = slot(root, "weight", HTMLSelectElement);
    this.#weightField = slot(root, "weight-field", HTMLElement);
    this.#checkpoint.addEventListener("change", () => {
      this.#showLoras();
      onChange();
    });
    this.#lora.addEventListener("change", () => {
      this.#showWeights();
      onChange();
    });
    this.#weight.addEventListener("change", onChange);
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
    return this.#models.find(({ id }) => id === this.#weight.value);
  }

  /** Chooses a model. @param {string} id Left as it is if there is no such model. */
  choose(id) {
    if (!this.#models.some((model) => model.id === id)) return;
    this.#checkpoint.value = splitModelName(id).checkpoint;
    this.#showLoras();
    const group = this.#groups().find((models) => models.some((model) => model.id === id));
    this.#lora.value = group?.[0]?.id ?? id;
    this.#showWeights();
    this.#weight.value = id;
  }

  /** The models of the checkpoint, together where only weights set them apart. */
  #groups() {
    return [...byLoras(byCheckpoint(this.#models).get(this.#checkpoint.value) ?? []).values()];
  }

  #showLoras() {
    const groups = this.#groups();
    this.#lora.replaceChildren(...groups.map(([first, ...others]) => {
      const id = first?.id ?? "";
      return new Option(others.length === 0 ? describeLoras(id) : nameLoras(id), id);
    }));
    this.#loraField.hidden = groups.flat().every(({ id }) => splitModelName(id).loras.length === 0);
    this.#showWeights();
  }

  #showWeights() {
    const group = this.#groups().find(([first]) => first?.id === this.#lora.value) ?? [];
    this.#weight.replaceChildren(...group.map(({ id }) => new Option(describeWeights(id), id)));
    this.#weightField.hidden = group.length < 2;
  }
}
