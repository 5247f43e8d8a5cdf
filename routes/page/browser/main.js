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

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

const announcer = new Announcer(find("live"));
const form = new RequestForm(/** @type {HTMLFormElement} */ (find("request")), { onChange: showPlans });
/** @type {RunView[]} */
let views = [];
/** Whether the stage shows plans only, which follow the form. */
let planning = true;
/** @type {AbortController | undefined} */
let running;

themeButton(find("theme"));
scalingChoice(find("scaling"), document.documentElement);
const shelf = await openShelf();

find("request").addEventListener("submit", (event) => {
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
  if (requests[0]?.prompt === "") return form.showError({ param: "prompt", message: "Say what to draw" });

  setRunning(new AbortController());
  showViews(form.plans(), { asPlans: false });
  // On a narrow screen the stage is below the form.
  if (find("runs").getBoundingClientRect().top > innerHeight * 0.6) find("stage").scrollIntoView();
  /** @type {Finished[]} */
  const finished = [];
  for (const [index, request] of requests.entries()) {
    const view = views[index];
    if (!view || !running) break;
    const options = { view, announcer, partialImages: form.partialImages, signal: running.signal };
    try {
      finished.push(await runRequest(request, options));
    } catch (error) {
      fail(error, { view, run: index });
      break;
    }
  }
  setRunning(undefined);
  for (const picture of finished) await shelf?.add(picture);
  const [first, second] = finished;
  if (first && second) find("comparison").replaceChildren(await comparisonView(first, second));
  planning = finished.length === 0;
  // A model's defaults are known once it has been loaded.
  if (!planning && form.model?.defaults === undefined) await readModels().catch(() => {});
  if (finished.length === requests.length) announcer.say(`Done: ${requests[0]?.prompt}`);
}

/**
 * @param {unknown} error
 * @param {{ view: RunView, run: number }} where
 */
function fail(error, { view, run }) {
  if (error instanceof DOMException && error.name === "AbortError") {
    view.stop("Cancelled");
    announcer.say("Cancelled");
    return;
  }
  const known = error instanceof ApiError;
  view.stop(known ? "Failed" : "No connection");
  form.showError(known ? error : { message: "The service cannot be reached" }, { run });
  if (!known) console.warn(error);
}

/** @param {AbortController | undefined} controller */
function setRunning(controller) {
  running = controller;
  // Not disabled: that would drop the focus of who has just pressed it.
  find("generate").setAttribute("aria-disabled", String(running !== undefined));
  find("cancel").hidden = running === undefined;
  find("stage").setAttribute("aria-busy", String(running !== undefined));
}

/** Shows the plans that the form describes, unless a picture is there. */
function showPlans() {
  if (planning) showViews(form.plans(), { asPlans: true });
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
  if (running) return;
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
    return {
      async add(/** @type {Finished} */ finished) {
        await history.add(finished);
        await view.refresh();
      },
    };
  } catch (error) {
    console.warn("No history, as the browser keeps nothing:", error);
    return undefined;
  }
}

async function showModels() {
  try {
    await readModels();
  } catch (error) {
    form.showError({ message: error instanceof ApiError ? error.message : "The service cannot be reached" });
    return;
  }
  const { model } = form;
  find("model-line").textContent = model ? [model.id, model.pipeline_class].filter(Boolean).join(", ") : "";
  promptSuggestions(find("suggestions"), {
    names: model?.names ?? [],
    onPick(name) {
      form.prompt = name;
      find("prompt").focus();
    },
  });
  showPlans();
}

async function readModels() {
  form.models = await apiKey.with((key) => listModels({ apiKey: key }));
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.isComposing) return;
  if (event.key === "Escape") running?.abort();
  const inPrompt = event.target === find("prompt");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey || (inPrompt && !event.shiftKey))) {
    event.preventDefault();
    /** @type {HTMLFormElement} */ (find("request")).requestSubmit();
  }
}
