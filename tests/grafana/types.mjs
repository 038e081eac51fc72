// Checks pages against Grafana's own types: node types.mjs FOLDER_OF_THE_TOOLS < pages.json
// Reads {name: page, …}, writes {name: ["place: error", …], …}. Each panel is checked against the types of its
// own kind: the page and the panel, its options, its field settings, and the value of each override.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(process.argv[2]);
const require = createRequire(join(folder, "package.json"));
const ts = require("typescript");
const types = "@grafana/schema/dist/types";
const KINDS = {
  barchart: "BarChart", bargauge: "BarGauge", geomap: "Geomap", stat: "Stat",
  "state-timeline": "StateTimeline", table: "Table", text: "Text", timeseries: "TimeSeries",
};
const WITHOUT_TYPES = new Set(["alertlist"]);
const HEAD = `
import type * as raw from "${types}/raw/dashboard/x/dashboard_types.gen";
${Object.entries(KINDS)
  .map(([kind, name]) => `import type * as ${name} from "${types}/raw/composable/${name.toLowerCase()}/panelcfg/x/${name}PanelCfg_types.gen";`)
  .join("\n")}
// A type as it is in JSON, where an enumeration is its values.
type Json<T> = T extends string ? \`\${T}\`
  : T extends boolean | null | undefined ? T
  : T extends number ? (\`\${T}\` extends \`\${infer N extends number}\` ? N : never)
  : T extends Array<infer U> ? Array<Json<U>>
  : unknown extends T ? unknown
  : T extends object ? { [K in keyof T]: Json<T[K]> }
  : T;
interface FluxQuery { refId: string; query: string; datasource: raw.DataSourceRef }
`;

/** Returns a page as assignments, one per line, each with its place in the page. */
function assignments(page) {
  const lines = [];
  const expectType = (place, type, value) => lines.push({ place, text: `{ const it: Json<${type}> = ${JSON.stringify(value)}; void it; }` });
  const { panels, templating, annotations, ...rest } = page;
  expectType("page", 'Omit<raw.Dashboard, "panels" | "templating" | "annotations">', rest);
  for (const variable of templating?.list ?? []) expectType(`variable ${variable.name}`, "raw.VariableModel", variable);
  for (const { target, ...note } of annotations?.list ?? []) {
    expectType(`annotation ${note.name}`, 'Omit<raw.AnnotationQuery, "target">', note);
    expectType(`annotation ${note.name}, query`, "FluxQuery", target);
  }
  for (const panel of panels) {
    const place = panel.title || `panel ${panel.id}`;
    if (panel.type === "row") {
      expectType(place, "raw.RowPanel", panel);
      continue;
    }
    const { options, fieldConfig, targets, ...plain } = panel;
    expectType(place, 'Omit<raw.Panel, "options" | "fieldConfig" | "targets">', plain);
    for (const target of targets ?? []) expectType(`${place}, query`, "FluxQuery", target);
    if (WITHOUT_TYPES.has(panel.type)) continue;
    if (!(panel.type in KINDS)) {
      lines.push({ place, text: `const none: "a kind of panel with types" = ${JSON.stringify(panel.type)};` });
      continue;
    }
    expectType(`${place}, options`, `${KINDS[panel.type]}.Options`, options);
    const { custom, ...defaults } = fieldConfig?.defaults ?? {};
    expectType(`${place}, fields`, 'Omit<raw.FieldConfig, "custom">', defaults);
    if (custom !== undefined) expectType(`${place}, custom fields`, `Partial<${KINDS[panel.type]}.FieldConfig>`, custom);
    for (const { matcher, properties } of fieldConfig?.overrides ?? []) {
      expectType(`${place}, override`, "raw.MatcherConfig", matcher);
      for (const { id, value } of properties) {
        const own = id.startsWith("custom.");
        const name = JSON.stringify(own ? id.slice("custom.".length) : id);
        expectType(`${place}, override ${id}`, `Required<${own ? `${KINDS[panel.type]}.FieldConfig` : "raw.FieldConfig"}>[${name}]`, value);
      }
    }
  }
  return lines;
}

const pages = JSON.parse(readFileSync(0, "utf8"));
const files = new Map();
for (const [name, page] of Object.entries(pages)) {
  const lines = assignments(page);
  files.set(join(folder, `page-${files.size}.ts`), { name, lines, text: HEAD + lines.map(({ text }) => text).join("\n") });
}
const headLines = HEAD.split("\n").length - 1;
const options = {
  strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Node10, types: [], isolatedModules: true, moduleDetection: ts.ModuleDetectionKind.Force,
};
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists, readFile } = host;
host.getSourceFile = (path, ...more) =>
  files.has(path) ? ts.createSourceFile(path, files.get(path).text, ts.ScriptTarget.ES2022) : getSourceFile.call(host, path, ...more);
host.fileExists = (path) => files.has(path) || fileExists.call(host, path);
host.readFile = (path) => files.get(path)?.text ?? readFile.call(host, path);
const program = ts.createProgram([...files.keys()], options, host);

const verdict = Object.fromEntries(Object.keys(pages).map((name) => [name, []]));
for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
  const message = ts.flattenDiagnosticMessageText(messageText, " ");
  const page = file && files.get(file.fileName);
  if (!page) throw new Error(`${file?.fileName ?? "compiler"}: ${message}`);
  const line = file.getLineAndCharacterOfPosition(start).line - headLines;
  verdict[page.name].push(`${page.lines[line]?.place ?? "types"}: ${message}`);
}
console.log(JSON.stringify(verdict));
