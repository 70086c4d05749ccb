// Bundles what each page loads into a folder of its own in the one named on the command line; run by app/assets.py.
import { build } from 'esbuild';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';

const folder = process.argv[2];
const usual = {
  bundle: true,
  splitting: true, // what most visits never need (prettier, say) is fetched when it is
  minify: true,
  format: 'esm',
  target: 'es2022',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.ttf': 'file', '.graphql': 'text' },
  legalComments: 'none',
  logLevel: 'warning',
};

await build({
  ...usual,
  entryPoints: {
    graphiql: 'graphiql.js',
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
  },
  outdir: join(folder, 'graphiql'),
});
await build({
  ...usual,
  entryPoints: { console: 'console/main.jsx' },
  outdir: join(folder, 'console'),
  jsx: 'automatic',
  jsxImportSource: 'preact',
});
await build({ ...usual, entryPoints: { reference: 'reference.js' }, outdir: join(folder, 'reference') });

// For the tests alone; it lies in no folder that is served.
await copyFile('node_modules/axe-core/axe.min.js', join(folder, 'axe.min.js'));
