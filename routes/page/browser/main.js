// The page's entry: what the form asks for is run, shown, compared and remembered.
import { Announcer } from "./announcer.js";
import { ApiError } from "./api_error.js";
import { apiKey } from "./api_key.js";
import { comparisonView } from "./comparison_view.js";
import { History } from "./history.js";
import { HistoryView } from "./history_view.js";
import { listModels } from "./list_models.js";
import { promptSuggestions } from "./prompt_suggestions.js";
import { RequestForm } from "./request_form.js";
import { runRequest } from "./run_request.js";
import { RunView } from "./run_view.js";
import { scalingChoice } from "./scaling_choice.js";
import { themeButton } from "./theme_button.js";

/** @import { HistoryEntry } from "./history.js" */
/** @import { Finished } from "./run_request.js" */

const UNREACHABLE = "The service cannot be reached";

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const formElement = /** @type {HTMLFormElement} */ (find("request"));

const announcer = new Announcer(find("live"));
const form = new RequestForm(formElement, { onChange: showPlans, onModel: showModel });
const shelf = openShelf();
/** @type {RunView[]} */
let views = [];
/** Whether the stage shows plans only, which follow the form. */
let planning = true;
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

  setRunning(new AbortController());
  showViews(form.plans(), { asPlans: false });
  for (const view of views.slice(1)) view.wait();
  // On a narrow screen the stage is below the form.
  if (find("runs").getBoundingClientRect().top > innerHeight * 0.6) find("stage").scrollIntoView();
  const finished = await runAll(requests);
  setRunning(undefined);

  const [first, second] = finished;
  if (first && second) await showComparison(first, second);
  for (const picture of finished) await (await shelf)?.add(picture);
  planning = finished.length === 0;
  if (finished.length === requests.length) announcer.say(`${views.at(-1)?.status}: ${prompt}`);
  // A model's defaults are known once it has been loaded.
  if (first && form.model?.defaults === undefined) await readModels().catch(() => {});
}

/**
 * One after the other, up to the first that fails.
 *
 * @param {ReturnType<RequestForm["requests"]>} requests
 */
async function runAll(requests) {
  /** @type {Finished[]} */
  const finished = [];
  for (const [index, request] of requests.entries()) {
    const view = views[index];
    if (!view || !running) break;
    try {
      const options = { view, announcer, partialImages: form.partialImages, signal: running.signal };
      finished.push(await runRequest(request, options));
    } catch (error) {
      showFailure(error, { run: index });
      break;
    }
  }
  return finished;
}

/**
 * @param {Finished} first
 * @param {Finished} second
 */
async function showComparison(first, second) {
  const totals = [first, second].map(({ receipt }) => receipt.seconds.total);
  for (const [index, view] of views.entries()) view.timeScale = (totals[index] ?? 0) / Math.max(...totals);
  const comparison = await comparisonView(first, second);
  if (!running) find("comparison").replaceChildren(comparison);
}

/**
 * @param {unknown} error
 * @param {{ run: number }} options Which of two to compare.
 */
function showFailure(error, { run }) {
  const rest = views.slice(run);
  if (error instanceof DOMException && error.name === "AbortError") {
    for (const view of rest) view.stop("Cancelled");
    announcer.say("Cancelled");
    return;
  }
  for (const view of rest) view.stop(error instanceof ApiError ? "Failed" : "No connection");
  form.showError(error instanceof ApiError ? error : { message: UNREACHABLE }, { run });
}

/** @param {AbortController | undefined} controller */
function setRunning(controller) {
  running = controller;
  // Not disabled: that would drop the focus of who has just pressed it.
  find("generate").setAttribute("aria-disabled", String(running !== undefined));
  find("cancel").hidden = running === undefined;
  find("stage").setAttribute("aria-busy", String(running !== undefined));
  find("history").inert = running !== undefined;
}

/** Shows the plans that the form describes, unless a picture is there. */
function showPlans() {
  if (planning && !running) showViews(form.plans(), { asPlans: true });
}

/**
 * @param {ReturnType<RequestForm["plans"]>} plans
 * @param {{ asPlans: boolean }} options
 */
function showViews(plans, { asPlans }) {
  planning = asPlans;
  for (const view of views) view.dispose();
  views = plans.map((plan) => new RunView(plan));
  find("runs").replaceChildren(...views.map((view) => view.element));
  find("runs").dataset["count"] = String(views.length);
  find("comparison").replaceChildren();
}

/** @param {HistoryEntry} entry */
function restore(entry) {
  form.clearErrors();
  form.restore(entry.request);
  showViews(form.plans(), { asPlans: false });
  views[0]?.finish(entry);
  find("stage").focus();
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
  find("model-line").textContent = model ? [model.id, model.pipeline_class].filter(Boolean).join(", ") : "";
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
