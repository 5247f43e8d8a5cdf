// The files of an order as one text, which the run log keeps once for all runs of the same files.
import { FILE_FIELDS, type FILE_LISTS, type OpenRunRequest } from "../../protocol/wire/run_request.ts";

/** The files of an order, in base64. */
export type OrderFiles = Pick<OpenRunRequest, typeof FILE_FIELDS[number] | typeof FILE_LISTS[number]>;

/** No characters of base64. */
const [SEPARATOR, BEFORE_REFERENCE] = [".", ","];

/** Returns the files as one text: empty without files. */
export function joinFiles({ references, ...files }: OrderFiles): string {
  // Another edge may run an earlier version, which knows the fields that come first.
  const single = FILE_FIELDS.map((name) => files[name] ?? "").join(SEPARATOR).replace(/\.+$/, "");
  return [single, ...references ?? []].join(BEFORE_REFERENCE);
}

/** Undoes {@link joinFiles}. */
export function splitFiles(text: string): OrderFiles {
  const [single = "", ...references] = text.split(BEFORE_REFERENCE);
  const parts = single.split(SEPARATOR);
  return {
    ...Object.fromEntries(FILE_FIELDS.flatMap((name, i) => parts[i] ? [[name, parts[i]]] : [])),
    ...references.length > 0 && { references },
  };
}
