// Calls of OpenAI's clients and of AUTOMATIC1111's that this server cannot answer, with what to do instead.

interface Unserved {
  /** @default any method */
  method?: string;
  path: RegExp;
  /** Why not. */
  because: string;
  /** An instruction. */
  instead?: string;
}

const PICTURES = "make images with POST /v1/images/generations, or videos with POST /v1/videos";

const UNSERVED: readonly Unserved[] = [
  {
    path: /^\/v1\/images\/variations$/,
    because: "no model here draws an image again without a prompt",
    instead: "POST /v1/images/edits with a prompt and a strength",
  },
  {
    method: "POST",
    path: /^\/v1\/videos\/edits$/,
    because: "no model here changes a finished video",
    instead: "POST /v1/videos/{id}/remix, which makes it anew from another prompt",
  },
  {
    method: "POST",
    path: /^\/v1\/videos\/extensions$/,
    because: "no model here continues a finished video",
    instead: "POST /v1/videos with the last frame as input_reference",
  },
  {
    path: /^\/v1\/videos\/characters(\/|$)/,
    because: "no characters are kept here",
    instead: "POST /v1/videos with a picture of the character as input_reference",
  },
  { path: /^\/v1\/moderations$/, because: "this server judges no texts and no images, and filters none" },
  {
    path: /^\/v1\/uploads(\/|$)/,
    because: "files do not come in parts here",
    instead: "POST /v1/files, whose files have at most 32 MiB",
  },
  {
    path: /^\/v1\/content_provenance_checks$/,
    because: "this server does not look for the signals of other services",
    instead: "POST /sdapi/v1/png-info, which reads the settings that this server writes into files",
  },
  {
    method: "DELETE",
    path: /^\/v1\/models\/./,
    because: "clients do not change which models are served: the operator names them",
  },
  {
    path: /^\/v1\/(chat\/)?completions(\/|$)|^\/v1\/(responses|conversations|assistants|threads)(\/|$)/,
    because: "this server writes no text",
    instead: PICTURES,
  },
  { path: /^\/v1\/embeddings$/, because: "this server makes no embeddings", instead: PICTURES },
  {
    path: /^\/v1\/(audio|realtime|live)(\/|$)/,
    because: "this server neither makes nor hears sound",
    instead: PICTURES,
  },
  {
    path: /^\/v1\/(fine_tuning|evals|graders|vector_stores|containers|skills)(\/|$)/,
    because: "this server runs image and video models as they are",
  },
  {
    path: /^\/sdapi\/v1\/interrogate$/,
    because: "no model here describes a picture",
    instead: "POST /sdapi/v1/png-info, which reads the prompt that a picture's file holds",
  },
  {
    path: /^\/sdapi\/v1\/extra-(single-image|batch-images)$/,
    because: "no model here upscales pictures or restores faces",
    instead: "POST /sdapi/v1/img2img with a larger width and height",
  },
  {
    path: /^\/sdapi\/v1\/skip$/,
    because: "a picture of a batch cannot be skipped alone",
    instead: "POST /sdapi/v1/interrupt, which ends them all and gives those that are done",
  },
  {
    path: /^\/sdapi\/v1\/(create|train|preprocess)(\/|$)/,
    because: "this server runs models as they are and trains none",
  },
  {
    path: /^\/sdapi\/v1\/server-(kill|restart|stop)$/,
    because: "clients do not stop this server: its operator does",
  },
  {
    path: /^\/controlnet\/detect$/,
    because: "no preprocessor is here, and control images are used as they are",
    instead: "a unit whose image is an edge, depth or pose map already, with module none",
  },
];

/** Returns a sentence for a known call of such a client; undefined for any other. */
export function unservedSentence(method: string, path: string): string | undefined {
  const found = UNSERVED.find((call) => (call.method ?? method) === method && call.path.test(path));
  if (found === undefined) return undefined;
  const { because, instead } = found;
  return `Cannot answer ${method} ${path.slice(0, 200)}: ${because}.${
    instead ? ` Try this: ${instead}.` : ""
  }`;
}
