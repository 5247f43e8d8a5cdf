// The page's entry: what the form asks for is run, shown, compared and remembered.
import { Announcer } from "./announcer.js";
import { ApiError } from "./api_error.js";
import { apiKey } from "./api_key.js";
import { History } from "./history.js";
import { HistoryView } from "./history_view.js";
import { listModels } from "./list_models.js";
import { promptSuggestions } from "./prompt_suggestions.js";
import { RequestForm } from "./request_form.js";
import { runRequest } from "./run_request.js";
import { scalingChoice } from "./scaling_choice.js";
import { Stage } from "./stage.js";
import { themeButton } from "./theme_button.js";

/** @import { HistoryEntry } from "./history.js" */
/** @import { Finished } from "./run_request.js" */
/** @import { RunView } from "./run_view.js" */

const UNREACHABLE = "The service cannot be reached";

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const formElement = /** @type {HTMLFormElement} */ (find("request"));

const announcer = new Announcer(find("live"));
const stage = new Stage(find("stage"));
const form = new RequestForm(formElement, { onChange: showPlans, onModel: showModel });
const shelf = openShelf();
/** @type {AbortController | undefined} */
let running;

themeButton(find("theme"));
scalingChoice(find("scaling"), document.documentElement);
formElement.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) void run();
});
find("cancel").addEventListener("click", () => running?.abort());
document.addEventListener("keydown", onKey);
showPlans();
await showModels();

/** Runs what the form asks for. */
async function run() {
  form.clearErrors();
  const requests = form.requests();
  const prompt = requests[0]?.prompt;
  if (!prompt) return form.showError({ param: "prompt", message: "Say what to draw" });

  const controller = new AbortController();
  setRunning(controller);
  const views = stage.open(form.plans());
  const finished = await runAll(requests, { views, signal: controller.signal });
  setRunning(undefined);

  await stage.close(finished);
  if (finished.length === requests.length) announcer.say(`${views.at(-1)?.status}: ${prompt}`);
  for (const picture of finished) await (await shelf)?.add(picture);
}

/**
 * One after the other, up to the first that fails.
 *
 * @param {ReturnType<RequestForm["requests"]>} requests
 * @param {{ views: readonly RunView[], signal: AbortSignal }} options A view for each request.
 */
async function runAll(requests, { views, signal }) {
  /** @type {Finished[]} */
  const finished = [];
  for (const [index, view] of views.entries()) {
    const request = requests[index];
    if (!request) break;
    try {
      const options = { view, announcer, partialImages: form.partialImages, signal };
      finished.push(await runRequest(request, options));
    } catch (error) {
      const reason = showFailure(error, { run: index });
      for (const rest of views.slice(index)) rest.stop(reason);
      break;
    }
  }
  return finished;
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
  return known ? "Failed" : "No connection";
}

/** @param {AbortController | undefined} controller */
function setRunning(controller) {
  running = controller;
  // Not disabled: that would drop the focus of who has just pressed it.
  find("generate").setAttribute("aria-disabled", String(running !== undefined));
  find("cancel").hidden = running === undefined;
  find("history").inert = running !== undefined;
}

function showPlans() {
  stage.plan(form.plans());
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
  const [plan] = form.plans();
  if (plan) stage.restore(plan, entry);
}

async function showModels() {
  try {
    await readModels();
  } catch (error) {
    form.showError({ message: error instanceof ApiError ? error.message : UNREACHABLE });
    return;
  }
  showModel();
  showPlans();
}

async function readModels() {
  form.models = await apiKey.with((key) => listModels({ apiKey: key }));
}

function showModel() {
  const { model } = form;
  find("model-line").textContent = model
    ? [model.id, model.title ?? model.pipeline_class].filter(Boolean).join(", ")
    : "";
  promptSuggestions(find("suggestions"), {
    names: model?.names ?? [],
    onPick(name) {
      form.prompt = name;
      find("prompt").focus();
    },
  });
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.isComposing) return;
  if (event.key === "Escape") running?.abort();
  const inPrompt = event.target === find("prompt");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey || (inPrompt && !event.shiftKey))) {
    event.preventDefault();
    formElement.requestSubmit();
  }
}
