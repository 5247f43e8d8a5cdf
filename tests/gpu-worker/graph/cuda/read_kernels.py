"""Writes cuda_kernels.json: the CUDA kernels that a release of onnxruntime-gpu registers.

    python read_kernels.py FOLDER  # where the wheel of PyPI's onnxruntime-gpu is unpacked; needs gcc, numpy

The list is read from the release itself, so it cannot be older than the release. Its Python module tells all
kernels, but first loads the libraries of CUDA and TensorRT. Here every function of CUDA does nothing and
succeeds, which is enough to register kernels; TensorRT's library answers that it has none.
The operators of the file stay; add a new one to "schemas" (or "kernels" for another
domain) with an empty list.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

OUTPUT = Path(__file__).with_name("cuda_kernels.json")
TYPES = {"float": "float32", "float16": "float16", "bfloat16": "bfloat16", "int64": "int64", "int32": "int32",
         "bool": "bool"}
# Models are written for opset 18 to 22.
OLDEST_OPSET = 18

RESULTS = {
    "cudaGetDeviceCount": "int cudaGetDeviceCount(int *n) { *n = 1; return 0; }",
    "__cudaRegisterFatBinary": "void *__cudaRegisterFatBinary(void *x) { return calloc(1, 64); }",
}

# Provider's first two functions make a factory from options and from the number of a device, as a
# shared_ptr. The Python module asks TensorRT's for a provider without looking whether there is one,
# so it gets CUDA's again.
TENSORRT = """
#include <dlfcn.h>
#include <stdlib.h>
typedef void *(*function)();
static char options[4096];
static void *by_device(void *result) {
  void *provider = ((function)dlsym(dlopen(getenv("CUDA_PROVIDER"), RTLD_NOW), "GetProvider"))();
  return (**(function **)provider)(result, provider, options);
}
static void nothing(void) {}
static void *functions[] = {
    nothing, by_device, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing};
static void *provider[] = {functions};
void *GetProvider(void) { return provider; }
"""


def compile_library(path: Path, source: str, *options: str) -> None:
    code = path.with_suffix(".c")
    code.write_text(source)
    subprocess.run(["gcc", "-w", "-fno-builtin", "-shared", "-fPIC", str(code), "-o", str(path), *options,
                    "-ldl"], check=True)


def read_elf(option: str, library: Path) -> str:
    return subprocess.run(["readelf", "-W", option, str(library)], check=True, capture_output=True,
                          text=True).stdout


def make_idle_cuda(provider: Path, folder: Path) -> None:
    """Writes a library for each one of CUDA that the provider is linked with."""
    functions = {name: [] for name in re.findall(r"NEEDED.*\[(libcu.*)\]", read_elf("-d", provider))}
    for name, version in re.findall(r" UND ((?:cu|__cuda)\w+)(?:@(\S+))?", read_elf("--dyn-syms", provider)):
        functions[version or "libcuda.so.1"].append(name)
    for library, names in functions.items():
        lines = [RESULTS.get(name, f"long {name}(void) {{ return 0; }}") for name in sorted(set(names))]
        versions = folder / "versions"
        versions.write_text(f"{library} {{ global: *; }};")
        script = [] if library == "libcuda.so.1" else [f"-Wl,--version-script={versions}"]
        compile_library(folder / library, "\n".join(["#include <stdlib.h>", *lines]),
                        f"-Wl,-soname,{library}", *script)


def start_again_with_libraries(wheel: Path) -> None:
    """Libraries of CUDA are found by LD_LIBRARY_PATH, which counts at a program's start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capi = folder / "onnxruntime" / "capi"
        (folder / "onnxruntime").mkdir()
        for entry in (wheel / "onnxruntime").iterdir():
            if entry.name != "capi":
                (folder / "onnxruntime" / entry.name).symlink_to(entry.resolve())
        capi.mkdir()
        for entry in (wheel / "onnxruntime" / "capi").iterdir():
            if "tensorrt" not in entry.name:
                (capi / entry.name).symlink_to(entry.resolve())
        provider = capi / "libonnxruntime_providers_cuda.so"
        make_idle_cuda(provider, folder)
        compile_library(capi / "libonnxruntime_providers_tensorrt.so", TENSORRT)
        environment = os.environ | {"LD_LIBRARY_PATH": name, "PYTHONPATH": name,
                                    "CUDA_PROVIDER": str(provider)}
        subprocess.run([sys.executable, __file__], check=True, env=environment)


def types_of(constraints: dict, parameter: str) -> list[str]:
    stored = [re.sub(r"^tensor\((.*)\)$", r"\1", name) for name in constraints.get(parameter, [])]
    return [ours for name, ours in TYPES.items() if name in stored]


def write_table() -> None:
    import onnxruntime.capi.onnxruntime_pybind11_state as ort

    table = json.loads(OUTPUT.read_text())
    # Kernels first: ONNX Runtime crashes if they are asked for after the schemas.
    definitions = [kernel for kernel in ort.get_all_opkernel_def()
                   if kernel.provider == "CUDAExecutionProvider"]
    assert definitions, "no CUDA kernels"
    schemas = ort.get_all_operator_schema()
    names = {("", name) for name in table["schemas"]}
    names |= {(domain, name) for domain, kernels in table["kernels"].items() for name in kernels}

    # The type of the data: its first input's, but that of Where is its condition.
    data = {}
    versions: dict[str, set[int]] = {name: set() for name in table["schemas"]}
    for schema in schemas:
        key = (schema.domain, schema.name)
        if key not in names:
            continue
        data[key] = schema.inputs[1 if schema.name == "Where" else 0].typeStr
        if schema.domain == "":
            versions[schema.name].add(schema.since_version)

    kernels: dict[str, dict[str, list]] = {}
    for kernel in definitions:
        key = (kernel.domain, kernel.op_name)
        if key not in names:
            continue
        first, last = kernel.version_range
        entry = {"from": first, "to": None if last == 2**31 - 1 else last}
        if entry["to"] is not None and entry["to"] < OLDEST_OPSET and kernel.domain == "":
            # A model of opset 18 may still mean an older schema, so only kernels that
            # end before that schema go.
            if entry["to"] < max(version for version in versions[kernel.op_name] if version <= OLDEST_OPSET):
                continue
        known = kernels.setdefault(kernel.domain, {}).setdefault(kernel.op_name, [])
        same = next((other for other in known
                     if (other["from"], other["to"]) == (entry["from"], entry["to"])), None)
        if same is None:
            known.append(same := entry | {"types": []})
        for dtype in types_of(kernel.type_constraints, data[key]):
            if dtype not in same["types"]:
                same["types"].append(dtype)

    order = list(TYPES.values())
    for operators in kernels.values():
        for entries in operators.values():
            entries.sort(key=lambda entry: -entry["from"])
            for entry in entries:
                entry["types"].sort(key=order.index)
    build = re.search(rb"git-commit-id=([0-9a-f]+)", Path(ort.__file__).read_bytes())
    result = {
        "onnxruntime": ort.__version__ if hasattr(ort, "__version__")
        else __import__("onnxruntime").__version__,
        "source": "Kernels that the CUDA provider of PyPI's onnxruntime-gpu registers, for the operators and "
                  "types that our "
        "graphs use, written by read_kernels.py. 'to' null is an open-ended registration.",
        "commit": build.group(1).decode() if build else None,
        "schemas": {name: newest_first(versions[name]) for name in sorted(versions)},
        "kernels": {domain: dict(sorted(operators.items())) for domain, operators in sorted(kernels.items())},
    }
    OUTPUT.write_text(json.dumps(result, indent=2) + "\n")


def newest_first(versions: set[int]) -> list[int]:
    """Down to the one that opset 18 means."""
    ordered = sorted(versions, reverse=True)
    return ordered[: next(i for i, version in enumerate(ordered) if version <= OLDEST_OPSET) + 1]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        start_again_with_libraries(Path(sys.argv[1]))
    else:
        write_table()
