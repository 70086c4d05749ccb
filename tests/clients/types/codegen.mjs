// Writes TypeScript from the committed schema: schema.ts has all of its types, operations.ts those of operations.graphql.
// node codegen.mjs [folder]
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as typescript from "@graphql-codegen/typescript";
import * as operations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const read = (path) => parse(readFileSync(here(path), "utf8"));
const folder = process.argv[2] ?? here(".");

const shared = {
  schema: read("../../../schema/schema.graphql"),
  documents: [{ location: "operations.graphql", document: read("operations.graphql") }],
  config: {
    enumsAsTypes: true,
    skipTypename: true,
    strictScalars: true,
    useTypeImports: true,
    scalars: { DateTime: "string", Url: "string", JSON: "unknown" },
  },
  pluginMap: { typescript, operations, documents: typedDocumentNode },
};
const files = {
  "schema.ts": [{ typescript: {} }],
  "operations.ts": [{ operations: {} }, { documents: {} }],
};
for (const [filename, plugins] of Object.entries(files)) {
  writeFileSync(`${folder}/${filename}`, await codegen({ ...shared, filename, plugins }));
}
