/**
 * A registry that serves a plugin in several versions: as much of the protocol as Docker's client uses to pull
 * (distribution's API, version 2). Its folder holds blobs, named by their digests, and for each tag a file with
 * the digest of its manifest.
 *
 * On its own: `node registry.ts FOLDER PORT`. On loopback Docker takes plain HTTP.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';

/** The parts of a manifest that matter here. */
interface Manifest {
  readonly config: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly layers: readonly { readonly digest: string }[];
}

/** A plugin as Docker has it on disk: its manifest's digest, and the folder of its blobs. */
export interface StoredPlugin {
  readonly manifest: string;
  readonly blobs: string;
}

const fileOf = (blobs: string, digest: string) => join(blobs, digest.replace(':', '/'));

/** Offers the plugin under a tag, with its config changed. */
export async function publish(
  { manifest: digest, blobs }: StoredPlugin,
  folder: string,
  tag: string,
  change: (config: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const read = async (digest: string) => JSON.parse(await readFile(fileOf(blobs, digest), 'utf8'));
  const store = async (value: unknown) => {
    const text = JSON.stringify(value);
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    await writeFile(join(folder, digest), text);
    return { digest, size: Buffer.byteLength(text) };
  };
  const manifest: Manifest = await read(digest);
  for (const layer of manifest.layers) {
    await copyFile(fileOf(blobs, layer.digest), join(folder, layer.digest));
  }
  const config = { ...manifest.config, ...(await store(change(await read(manifest.config.digest)))) };
  await writeFile(join(folder, tag), (await store({ ...manifest, config })).digest);
}

function serve(folder: string, port: number): void {
  const server = createServer((request, response) => {
    const [, kind, reference = ''] = /^\/v2\/.+\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '') ?? [];
    const tag = join(folder, reference);
    const digest = /^\d+$/.test(reference) && existsSync(tag) ? readFileSync(tag, 'utf8') : reference;
    const file = join(folder, digest);
    response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0');
    if (request.url === '/v2/') {
      response.end('{}');
    } else if (!/^sha256:[0-9a-f]{64}$/.test(digest) || !existsSync(file)) {
      response.writeHead(404).end('{"errors":[{"code":"BLOB_UNKNOWN"}]}');
    } else {
      response.setHeader('Content-Type', kind === 'manifests' ? manifestType : 'application/octet-stream');
      response.setHeader('Docker-Content-Digest', digest);
      response.setHeader('Content-Length', statSync(file).size);
      response.end(request.method === 'HEAD' ? undefined : readFileSync(file));
    }
  });
  server.listen(port, '127.0.0.1', () => console.log('ready'));
}

if (import.meta.main) {
  const [folder = '', port = ''] = process.argv.slice(2);
  serve(folder, Number(port));
}
