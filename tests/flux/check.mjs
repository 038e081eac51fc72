// Checks Flux with InfluxData's own compiler front end: node check.mjs FOLDER_OF_THE_FRONT_END < queries.json
// Reads {name: Flux, …}, writes {name: ["line: error", …], …} with an empty list for a correct query.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(process.argv[2], "@influxdata", "flux-lsp-browser");
const texts = JSON.parse(readFileSync(0, "utf8"));

// The package is made for bundlers, which link its WebAssembly; here it is linked by hand.
const compiled = await WebAssembly.compile(readFileSync(join(folder, "flux-lsp-browser_bg.wasm")));
let glue;
const imports = {};
for (const { module, name } of WebAssembly.Module.imports(compiled)) {
  (imports[module] ??= {})[name] = (...values) => glue[name](...values);
}
globalThis.fluxWasm = (await WebAssembly.instantiate(compiled, imports)).exports;
const source = readFileSync(join(folder, "flux-lsp-browser_bg.js"), "utf8");
const linked = source.replace(/^import \* as wasm from .*$/m, "const wasm = globalThis.fluxWasm;");
glue = await import(`data:text/javascript;base64,${Buffer.from(linked).toString("base64")}`);

const server = new glue.Lsp();
const problems = new Map();
let waiting = null;
server.onMessage((message) => {
  const { method, params } = typeof message === "string" ? JSON.parse(message) : message;
  if (method !== "textDocument/publishDiagnostics") return;
  problems.set(params.uri, params.diagnostics);
  if (waiting?.uri === params.uri) waiting.done();
});
server.run();
const send = (message) => server.send(JSON.stringify({ jsonrpc: "2.0", ...message }));

await send({ id: 1, method: "initialize", params: { capabilities: {} } });
await send({ method: "initialized", params: {} });
const verdict = {};
let number = 0;
for (const [name, text] of Object.entries(texts)) {
  const uri = `file:///text-${number++}/main.flux`; // a folder each: files of one folder are one package
  const answered = new Promise((done) => {
    waiting = { uri, done };
  });
  await send({
    method: "textDocument/didOpen",
    params: { textDocument: { uri, languageId: "flux", version: 1, text } },
  });
  await answered;
  verdict[name] = problems
    .get(uri)
    .filter(({ severity }) => severity === undefined || severity === 1)
    .map(({ range, message }) => `line ${range.start.line + 1}: ${message}`);
  await send({ method: "textDocument/didClose", params: { textDocument: { uri } } }); // else each is judged with the next
}
console.log(JSON.stringify(verdict));
process.exit(0);
