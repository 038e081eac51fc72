// Has AsyncAPI's own parser judge a document: node asyncapi.mjs FOLDER_WITH_THE_PARSER FILE
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const [folder, file] = process.argv.slice(2);
const { Parser } = createRequire(`${resolve(folder)}/`)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
const serious = diagnostics.filter(({ severity }) => severity < 2); // 0 error, 1 warning
for (const { path, message } of serious) {
  console.error(`${path.join(".")}: ${message}`);
}
if (document === undefined || serious.length > 0) process.exit(1);
console.log(`${document.channels().all().length} channels, ${document.operations().all().length} operations`);
