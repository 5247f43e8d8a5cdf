// The offer to follow a run that another tab has begun, or that was left when its tab was closed.
import { ApiError } from "./api_error.js";
import { apiKey } from "./api_key.js";

/** @import { OpenRun, OpenRuns } from "./open_runs.js" */

/**
 * Offers the newest run that the service still has; forgets runs that the service no longer has.
 *
 * @param {HTMLElement} bar
 * @param {{ runs: OpenRuns, onTake: (run: OpenRun) => void }} options
 */
export async function offerRun(bar, { runs, onTake }) {
  for (const run of (await runs.list()).reverse()) {
    const status = await statusOf(run);
    if (status === "unreachable") continue;
    if (status !== "in_progress" && status !== "queued" && status !== "completed") {
      await runs.forget(run);
      continue;
    }
    const text = document.createElement("span");
    text.dir = "auto";
    text.textContent = run.requests[0]?.prompt ?? "";
    const button = Object.assign(document.createElement("button"), {
      type: "button",
      className: "secondary",
      textContent: status === "completed" ? "Show the finished run" : "Follow the run under way",
    });
    button.addEventListener("click", () => {
      bar.hidden = true;
      onTake(run);
    });
    bar.replaceChildren(button, text);
    bar.hidden = false;
    return;
  }
}

/**
 * Returns the status that the service names, "unknown" if it has no such job, or "unreachable".
 *
 * @param {OpenRun} run
 * @returns {Promise<string>}
 */
async function statusOf({ jobs }) {
  const job = jobs.at(-1)?.replace(/^video_/, "job_");
  if (job === undefined) return "unknown";
  const headers = {
    ...(apiKey.value && { authorization: `Bearer ${apiKey.value}` }),
    // The tag of a completed job: its results, which may be megabytes, are not sent.
    "if-none-match": `"${job}-completed"`,
  };
  try {
    const response = await fetch(`/v1/jobs/${job}`, { headers });
    if (response.status === 304) return "completed";
    if (!response.ok) throw await ApiError.fromResponse(response);
    return (await response.json()).status;
  } catch (error) {
    return error instanceof ApiError && error.status === 404 ? "unknown" : "unreachable";
  }
}
