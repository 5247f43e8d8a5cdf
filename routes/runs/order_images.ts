// The files of an order as one text, which the run log keeps once for all runs that start from them.
import { FILE_FIELDS, type OpenRunRequest } from "../../protocol/wire/run_request.ts";

/** The files of an order, in base64. */
export type OrderFiles = Pick<OpenRunRequest, typeof FILE_FIELDS[number]>;

/** No character of base64. */
const SEPARATOR = ".";

/** Returns the files as one text: empty without files. */
export function joinFiles(files: OrderFiles): string {
  // Another edge may run an earlier version, which knows the fields that come first.
  return FILE_FIELDS.map((name) => files[name] ?? "").join(SEPARATOR).replace(/\.+$/, "");
}

/** The inverse of {@link joinFiles}. */
export function splitFiles(text: string): OrderFiles {
  const parts = text.split(SEPARATOR);
  return Object.fromEntries(FILE_FIELDS.flatMap((name, i) => parts[i] ? [[name, parts[i]]] : []));
}
