// Bundles GraphiQL and Monaco's workers into the folder named on the command line; run by app/assets.py.
import { build } from 'esbuild';

await build({
  entryPoints: {
    graphiql: 'graphiql.js',
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
  },
  outdir: process.argv[2],
  bundle: true,
  splitting: true, // what most visits never need (prettier, say) is fetched when it is
  minify: true,
  format: 'esm',
  target: 'es2022',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.ttf': 'file' },
  legalComments: 'none',
  logLevel: 'warning',
});
