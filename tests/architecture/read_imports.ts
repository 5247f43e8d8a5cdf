// Reads which file imports which, as Deno resolves it: values, types, re-exports and import() alike.
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";

/** One file's import; paths are relative to the root, with slashes. */
export interface Import {
  from: string;
  /** Another file, or the name of a package as the file says it. */
  to: string;
  /** Whether `to` is a package. */
  isPackage: boolean;
}

interface DependencyTarget {
  specifier?: string;
  error?: string;
}

interface ModuleGraph {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: { specifier: string; code?: DependencyTarget; type?: DependencyTarget }[];
  }[];
}

/**
 * Reads the imports between TypeScript files.
 * @param folders what is read, relative to `root`: folders with everything in them
 * @throws {Error} if Deno cannot read or resolve a file
 */
export async function readImports(root: string, folders: readonly string[]): Promise<Import[]> {
  const base = pathToFileURL(`${root}/`).href;
  const files = folders.flatMap((folder) => listSources(join(root, folder)));
  const { modules } = await readGraph(files, root);
  const broken = modules.filter(({ error }) => error !== undefined);
  if (broken.length > 0) {
    throw new Error(`Cannot read imports: ${broken.map(({ error }) => error).join("\n")}`);
  }
  const pathOf = (url: string) => url.startsWith(base) ? url.slice(base.length) : undefined;
  const read = new Set(files.map((file) => relative(root, file).replaceAll("\\", "/")));
  return modules.flatMap(({ specifier, dependencies = [] }) => {
    const from = pathOf(specifier);
    if (from === undefined || !read.has(from)) return [];
    return dependencies.flatMap(({ specifier: said, code, type }): Import[] => {
      if (!said.startsWith(".")) return [{ from, to: said, isPackage: true }];
      const targets = [code?.specifier, type?.specifier].flatMap((url) => pathOf(url ?? "") ?? []);
      return [...new Set(targets)].map((to) => ({ from, to, isPackage: false }));
    });
  });
}

function listSources(folder: string): string[] {
  return Deno.readDirSync(folder).toArray().flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    if (isDirectory) return listSources(path);
    return name.endsWith(".ts") ? [path] : [];
  });
}

/** One process for all files: they are the imports of a file that lives as long as the process. */
async function readGraph(files: readonly string[], cwd: string): Promise<ModuleGraph> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    Deno.writeTextFileSync(entry, files.map((file) => `import "${pathToFileURL(file)}";\n`).join(""));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      // Otherwise Deno writes the packages that tests name into deno.lock.
      args: ["info", "--lock=tests/bench/deno.lock", "--json", entry],
      cwd,
    }).output();
    if (!success) throw new Error(`Cannot read imports: ${new TextDecoder().decode(stderr)}`);
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(entry);
  }
}
