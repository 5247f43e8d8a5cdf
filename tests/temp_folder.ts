// A folder for one test, which goes with it.
import { join } from "node:path";

/** A new, empty folder. Disposing deletes it with all that it holds. */
export class TempFolder implements Disposable {
  readonly path: string = Deno.makeTempDirSync();

  /** Returns the path of a file or folder inside. */
  join(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
