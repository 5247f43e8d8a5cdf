// Jobs of image requests as OpenAI's images look.
import type { ImageRequest } from "../requests/image_request.ts";
import type { ResultStore } from "../../protocol/store/results/result_store.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { CompleteSettings } from "../../protocol/wire/run_request.ts";
import { pictureUrl } from "../files/deliver_picture.ts";
import type { SignedUrls } from "../files/signed_urls.ts";
import type { JobPresenter } from "../jobs/job_presenter.ts";
import type { JobRecord } from "../jobs/job_record.ts";
import { imageMessages, type ImageMessagesOptions } from "./image_messages.ts";
import { type Delivered, imagesResponse } from "./image_response.ts";

/** The stored part of an image request. */
export interface ImageFacts {
  request: ImageRequest;
  settings: CompleteSettings;
  /** Sentences about unmet wishes, for receipts. Records of earlier versions lack them. */
  warnings?: readonly string[];
}

export interface ImagePresenterOptions {
  results: ResultStore;
  urls: SignedUrls;
}

export function imagePresenter(options: ImagePresenterOptions): JobPresenter {
  return {
    async result(job, read, { origin }) {
      const results = await read();
      const deliver = deliverer(job, { origin, ...options });
      const delivered = await Promise.all(results.map(deliver));
      return imagesResponse(results, { ...factsOf(job), delivered });
    },
    // Addresses are signed anew, and expire.
    isLasting: (job) => factsOf(job).request.response_format !== "url",
    messages(job, events, { origin, onError = () => {} }) {
      const kind = job.kind as ImageMessagesOptions["kind"];
      const deliver = deliverer(job, { origin, ...options });
      return imageMessages(events, { ...factsOf(job), kind, deliver, onError });
    },
  };
}

/** Hands pictures over as the request wants them. */
export function deliverer(
  job: Pick<JobRecord, "facts" | "parts">,
  { results, urls, origin }: ImagePresenterOptions & { origin: string | undefined },
): (event: CompletedEvent, index: number) => Promise<Delivered> {
  const { request } = factsOf(job);
  return async (event, index) => {
    const key = job.parts[index]!.key;
    if (request.response_format !== "url" || key === null) return { b64_json: event.b64_json };
    const { output_format } = request;
    return { url: await pictureUrl(event, { results, urls, origin, key, output_format }) };
  };
}

function factsOf({ facts }: Pick<JobRecord, "facts">): ImageFacts {
  return facts as ImageFacts;
}
