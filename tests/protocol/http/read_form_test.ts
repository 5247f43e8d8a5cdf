import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readForm } from "../../../protocol/http/read_form.ts";

function read(body: BodyInit, type = "multipart/form-data; boundary=b") {
  const request = new Request("http://edge/", { method: "POST", headers: { "content-type": type }, body });
  return readForm(request, { maxBytes: 40 * 2 ** 20 });
}

function form(parts: readonly string[], boundary = "b"): string {
  return parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("") + `--${boundary}--\r\n`;
}

const field = (name: string, value = "x") => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`;
const refused = { name: "ApiError", status: 400, code: "invalid_form" };

describe("readForm()", () => {
  it("gives fields and files as fetch() sends them", async () => {
    const sent = new FormData();
    sent.append("prompt", "größer\r\n--b\r\n");
    sent.append("prompt", "");
    sent.append('na"me', "quoted");
    sent.append("image", new File([Uint8Array.of(0, 13, 10, 45, 45, 255)], "ä.png", { type: "image/png" }));
    const { body, headers } = new Response(sent);
    const got = await readForm(
      new Request("http://edge/", { method: "POST", body, headers }),
      {},
    );
    assert.deepEqual(got.getAll("prompt"), ["größer\r\n--b\r\n", ""]);
    const image = got.get("image") as File;
    assert.deepEqual([image.name, image.type], ["ä.png", "image/png"]);
    assert.deepEqual(await image.bytes(), Uint8Array.of(0, 13, 10, 45, 45, 255));
  });

  it("takes quoted boundaries, text after the end and files without a type", async () => {
    const part = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}\n';
    const got = await read(`${form([part], "a b")}epilogue`, 'multipart/form-data; boundary="a b"');
    const file = got.get("file") as File;
    assert.deepEqual([file.name, await file.text()], ["a.jsonl", "{}\n"]);
  });

  it("refuses too many parts under any names", async () => {
    const many = (name: (index: number) => string) =>
      form(Array.from({ length: 200_000 }, (_, index) => field(name(index), "")));
    const forms = [many((index) => `f${index}`), many(() => "prompt"), many(() => "")];
    for (const body of forms) await assert.rejects(read(body), refused);
  });

  it("stops to read at the first part too many", async () => {
    const part = new TextEncoder().encode(form([field("a")]).replace("--b--\r\n", ""));
    let pulled = 0;
    const body = new ReadableStream({
      pull: (controller) => void (pulled++, controller.enqueue(part)),
    });
    await assert.rejects(read(body), refused);
    assert.ok(pulled < 110, `${pulled} parts were read`);
  });

  it("takes a form in pieces of any length, and ignores the bytes after it", async () => {
    const bytes = new TextEncoder().encode(`${form([field("a", "\r\n--x"), field("b", "")])}more\r\n--b\r\n`);
    for (const length of [1, 2, 3, 7]) {
      const pieces = Array.from(
        { length: Math.ceil(bytes.length / length) },
        (_, index) => bytes.slice(index * length, (index + 1) * length),
      );
      const got = await read(ReadableStream.from(pieces));
      assert.deepEqual([got.get("a"), got.get("b")], ["\r\n--x", ""], `pieces of ${length}`);
    }
  });

  it("refuses large names, large or many headers, long boundaries and bodies that are no form", async () => {
    const disposition = 'Content-Disposition: form-data; name="a"\r\n';
    const headers = Array.from({ length: 100_000 }, (_, index) => `X-${index}: 1\r\n`).join("");
    for (
      const body of [
        form([field("n".repeat(8_000_000))]),
        form([field("prompt", "\r\n--a".repeat(1_600_000))]),
        form([`${disposition}X-A: ${"y".repeat(8_000_000)}\r\n\r\nx`]),
        form([`${disposition}${headers}\r\nx`]),
        form(["Content-Type: text/plain\r\n\r\nx"]),
        form([field("a")]).replace("--b--\r\n", ""),
        "--b\r\n",
        "not a form",
        "",
      ]
    ) {
      await assert.rejects(read(body), refused, body.slice(0, 60));
    }
    const long = "b".repeat(60_000);
    await assert.rejects(read(`--${long}--`, `multipart/form-data; boundary=${long}`), refused);
    await assert.rejects(read(form([]), "multipart/form-data; charset=utf-8"), refused);
  });
});
