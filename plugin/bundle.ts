/**
 * Bundles weft into `dist/`, which needs nothing but Node to run, wherever it is copied on a machine of the
 * same architecture: one file takes 0.15 s to listen, the modules it is made of 0.6 s.
 */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const { resolve } = createRequire(import.meta.url);

/** etcd3 reads its protocol from a folder beside its own; in the bundle it lies beside `weft.js`. */
const etcdProtocol: Plugin = {
  name: 'etcd3 finds its protocol',
  setup({ onLoad }) {
    onLoad({ filter: /\/etcd3\/lib\/connection-pool\.js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const contents = source.replace('/../proto/', '/proto/');
      if (contents === source) throw new Error(`${path} no longer says where its protocol is`);
      return { contents };
    });
  },
};

/** Koffi looks for its machine code in ways that no bundler can follow. Weft runs on glibc only. */
const koffiMachineCode: Plugin = {
  name: 'koffi finds its machine code',
  setup({ onLoad }) {
    onLoad({ filter: /\/@koromix\/koffi-linux-\w+\/index\.js$/ }, ({ path }) => ({
      contents: `module.exports = require('./linux_${process.arch}/koffi.node');`,
      resolveDir: dirname(path),
    }));
  },
};

/**
 * An import of a module of Node reads all that it exports, whatever is used: of `node:http`, that loads a whole client for
 * the web. A `require` does not.
 */
const nodeModules: Plugin = {
  name: 'modules of Node are required',
  setup({ onResolve, onLoad }) {
    const namespace = 'node';
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace } : undefined,
    );
    onLoad({ filter: /.*/, namespace }, ({ path }) => ({ contents: `module.exports = require('${path}');` }));
  },
};

/** What CommonJS packages expect to find in a file that is an ES module. */
const commonJs = `import { createRequire as createRequireOfBundle } from 'node:module';
const require = createRequireOfBundle(import.meta.url);
const __filename = import.meta.filename;
const __dirname = import.meta.dirname;`;

export async function bundle(entry: string, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: { weft: entry },
    outdir: folder,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // V8 keeps the text in memory, so comments and blanks go; names stay, for stack traces that tell something.
    minifyWhitespace: true,
    lineLimit: 120,
    legalComments: 'linked',
    banner: { js: commonJs },
    // The CommonJS variant: the other one loads its machine code by a `require` that is not followed.
    alias: { koffi: resolve('koffi') },
    loader: { '.node': 'copy' },
    assetNames: '[name]',
    plugins: [etcdProtocol, koffiMachineCode, nodeModules],
    logLevel: 'warning',
  });
  await cp(join(dirname(resolve('etcd3')), '../proto'), join(folder, 'proto'), { recursive: true });
  await writeFile(join(folder, 'package.json'), `${JSON.stringify({ type: 'module' })}\n`);
}

if (import.meta.main) await bundle(join(root, 'src/main.ts'), join(root, 'dist'));
