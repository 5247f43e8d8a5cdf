// The page's entry: what the form asks for is run, shown, compared and remembered.
import { Announcer } from "./announcer.js";
import { ApiError } from "./api_error.js";
import { apiKey } from "./api_key.js";
import { FormMemory } from "./form_memory.js";
import { History } from "./history.js";
import { HistoryView } from "./history_view.js";
import { openKeptValues } from "./kept_values.js";
import { listModels } from "./list_models.js";
import { modelFacts } from "./model_facts.js";
import { OpenRuns } from "./open_runs.js";
import { promptSuggestions } from "./prompt_suggestions.js";
import { isAway, reconnect } from "./reconnect.js";
import { RequestForm } from "./request_form.js";
import { offerRun } from "./run_offer.js";
import { runRequest } from "./run_request.js";
import { RunSigns } from "./run_signs.js";
import { scalingChoice } from "./scaling_choice.js";
import { Stage } from "./stage.js";
import { themeButton } from "./theme_button.js";

/** @import { HistoryEntry } from "./history.js" */
/** @import { OpenRun } from "./open_runs.js" */
/** @import { Finished } from "./run_request.js" */
/** @import { RunView } from "./run_view.js" */
/** @import { Model } from "./wire.d.ts" */

const UNREACHABLE = "The service cannot be reached";

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const formElement = /** @type {HTMLFormElement} */ (find("request"));

const announcer = new Announcer(find("live"));
const stage = new Stage(find("stage"));
const values = openKeptValues();
const openRuns = new OpenRuns(values);
const signs = new RunSigns(find("notify"));
const form = new RequestForm(formElement, { onChange: changed, onModel: showModel });
const memory = new FormMemory(form, { values });
const shelf = openShelf();
/** @type {AbortController | undefined} */
let running;
/** Whether the form says that the service is away or refuses: no longer true once it answers. */
let isComplaining = false;

themeButton(find("theme"));
scalingChoice(find("scaling"), document.documentElement);
apiKey.showButton(() => void showModels());
formElement.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) void begin();
});
find("cancel").addEventListener("click", () => running?.abort());
find("stage").addEventListener("use-picture", (event) => {
  if (event instanceof CustomEvent) form.use(event.detail);
});
find("stage").addEventListener("use-control-image", (event) => {
  if (event instanceof CustomEvent) form.follow(event.detail);
});
document.addEventListener("keydown", onKey);
memory.restore();
showPlans();
await showModels();
await takeUp();

/** Runs what the form asks for. */
async function begin() {
  form.clearErrors();
  const requests = form.requests();
  const prompt = requests[0]?.prompt;
  if (!prompt) return form.showError({ param: "prompt", message: "Say what to draw" });
  changed();
  const plans = form.plans();
  await run({ id: crypto.randomUUID(), requests, plans, partialImages: form.partialImages, jobs: [] });
}

/** @param {OpenRun} open A run to begin, or to take up where it is. */
async function run(open) {
  const { requests, plans } = open;
  const prompt = requests[0]?.prompt ?? "";
  const controller = new AbortController();
  setRunning(controller);
  find("offer").hidden = true;
  const views = stage.open(plans);
  signs.running();
  const finished = await runAll(open, { views, signal: controller.signal });
  setRunning(undefined);
  await openRuns.forget(open);

  await stage.close(finished);
  const isDone = finished.length === requests.length;
  signs.ended({ prompt, finished: isDone });
  if (isDone) announcer.say(`${views.at(-1)?.status}: ${prompt}`);
  for (const picture of finished.flat()) await (await shelf)?.add(picture);
}

/**
 * One after the other, up to the first that fails.
 *
 * @param {OpenRun} open
 * @param {{ views: readonly RunView[], signal: AbortSignal }} options A view for each request.
 */
async function runAll(open, { views, signal }) {
  /** @type {Finished[][]} */
  const finished = [];
  for (const [index, view] of views.entries()) {
    const request = open.requests[index];
    if (!request) break;
    try {
      finished.push(
        await runRequest(request, {
          view,
          signal,
          partialImages: open.partialImages,
          job: open.jobs[index],
          onJob(job) {
            open.jobs[index] = job;
            openRuns.note(open).catch(() => {});
          },
          onProgress() {
            announcer.progress(view.status);
            signs.running(view.secondsLeft);
          },
        }),
      );
    } catch (error) {
      const reason = showFailure(error, { run: index });
      for (const rest of views.slice(index)) rest.stop(reason);
      break;
    }
  }
  return finished;
}

/** Goes on with the run that the address names, or offers one that was left. */
async function takeUp() {
  const own = await openRuns.own();
  if (running) return;
  if (own) return await run(own);
  await offerRun(find("offer"), { runs: openRuns, onTake: (left) => void (running ?? run(left)) });
}

/**
 * @param {unknown} error
 * @param {{ run: number }} options Which of two to compare.
 * @returns {string} In a word.
 */
function showFailure(error, { run }) {
  if (error instanceof DOMException && error.name === "AbortError") {
    announcer.say("Cancelled");
    return "Cancelled";
  }
  const known = error instanceof ApiError;
  form.showError(known ? error : { message: UNREACHABLE }, { run });
  if (!known && isAway(error)) {
    isComplaining = true;
    void showModels();
  }
  return known ? "Failed" : "No connection";
}

/** @param {AbortController | undefined} controller */
function setRunning(controller) {
  running = controller;
  // A disabled button would lose the focus that it has as it is pressed.
  find("generate").setAttribute("aria-disabled", String(running !== undefined));
  find("cancel").hidden = running === undefined;
  find("keys").hidden = running !== undefined;
  find("history").inert = running !== undefined;
}

function changed() {
  memory.save();
  showPlans();
}

function showPlans() {
  const { model } = form;
  const [first, ...rest] = form.plans();
  if (first) stage.plan([{ ...first, facts: model && modelFacts(model) }, ...rest]);
}

async function openShelf() {
  try {
    const history = await History.open();
    const view = new HistoryView(find("history"), { history, onOpen: restore });
    await view.refresh();
    return view;
  } catch {
    // Some private windows keep nothing: the page does without a history.
    return undefined;
  }
}

/** @param {HistoryEntry} entry */
function restore(entry) {
  form.clearErrors();
  form.restore(entry.request);
  memory.save();
  const [plan] = form.plans();
  if (plan) stage.restore(plan, entry);
}

/** Asks which models there are, for as long as the service is away. */
async function showModels() {
  const complain = (/** @type {string} */ message) => {
    if (!running) form.showError({ message });
    isComplaining = true;
  };
  try {
    const onLost = () => complain(`${UNREACHABLE}. The page tries again by itself.`);
    form.models = await reconnect(readModels, { onLost });
  } catch (error) {
    return complain(error instanceof ApiError ? error.message : UNREACHABLE);
  }
  if (isComplaining) form.clearErrors();
  isComplaining = false;
  showModel();
  showPlans();
}

function readModels() {
  return apiKey.with((key) => listModels({ apiKey: key }));
}

function showModel() {
  const { model } = form;
  find("model-line").textContent = model
    ? [model.id, model.title ?? model.pipeline_class].filter(Boolean).join(", ")
    : "";
  find("stage").dataset["takes"] = takenImages(model);
  find("stage").toggleAttribute("data-controls", (model?.controlnets?.length ?? 0) > 0);
  promptSuggestions(find("suggestions"), {
    names: model?.names ?? [],
    onPick(name) {
      form.prompt = name;
      memory.save();
      find("prompt").focus();
    },
  });
}

/**
 * What a picture can be to a model's next run.
 *
 * @param {Model | undefined} model
 */
function takenImages(model) {
  if (model?.references) return "references";
  if (model?.video?.first_frame) return "first-frame";
  return model?.start_image ? "start" : "none";
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  // A dialog has keys of its own.
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") running?.abort();
  const inPrompt = event.target === find("prompt");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey || (inPrompt && !event.shiftKey))) {
    event.preventDefault();
    formElement.requestSubmit();
  }
}
