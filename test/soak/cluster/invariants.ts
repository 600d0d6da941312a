/** What must hold of a cluster: always, and once it is left in peace. */
import assert from 'node:assert/strict';
import { hostEnd } from '../../../src/model/names.ts';
import { records } from '../../../src/model/records.ts';
import { bothFabrics } from '../../cluster/cluster.ts';
import { weft } from '../../cluster/weft-command.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';
import { type Attached, attachedOn } from './containers.ts';

/** @throws AssertionError when two containers have one address */
export function checkUnique(attached: readonly Attached[]): void {
  const byAddress = Map.groupBy(attached, ({ address }) => address);
  for (const [address, holders] of byAddress) {
    const where = holders.map(({ host, container }) => `${container} on ${host.name}`).join(' and ');
    assert.ok(holders.length === 1 || address === '', `${address} is had by ${where}`);
  }
}

/** Docker, the store and the kernels say the same, and all reach all. @throws what differs */
export async function checkWhole(lab: Lab): Promise<readonly Attached[]> {
  const attached = (await Promise.all(lab.hosts.map(attachedOn))).flat();
  checkUnique(attached);
  await storeAgrees(lab, attached);
  for (const host of lab.hosts) await kernelAgrees(host, attached);
  await Promise.all(lab.hosts.map((host) => allReached(host, attached)));
  return attached;
}

/** Nor does weft itself find anything that does not agree. */
export async function checkAgreed(host: Host): Promise<void> {
  const { text } = await weft(host, 'check');
  assert.equal(text, `on host ${host.name}, all agrees`);
}

async function storeAgrees(lab: Lab, attached: readonly Attached[]): Promise<void> {
  const valuesBelow = async (folder: string) => {
    const output = await lab.etcd.ctl(['get', '--prefix', '--print-value-only', `/weft/v1/${folder}/`]);
    return output.split('\n').filter((line) => line !== '');
  };
  const announced = (await valuesBelow('endpoints')).map(records.endpoint.parse);
  const addresses = attached.map(({ address }) => address).sort();
  assert.deepEqual(
    announced.flatMap((endpoint) => endpoint.addresses).sort(),
    addresses,
    'endpoints in the store',
  );
  const blocks = (await valuesBelow('unwatched/blocks')).map(records.block.parse);
  const assigned = blocks.flatMap((block) => Object.keys(block.assigned));
  assert.equal(assigned.length, addresses.length, 'addresses assigned in the store');
}

/** The host has a link for each of its containers, and no other. */
async function kernelAgrees(host: Host, attached: readonly Attached[]): Promise<void> {
  const script =
    'ip -o link; for n in /run/netns/weft-*; do nsenter --net=$n ip -o link 2>/dev/null; done; true';
  const links = (await host.exec(['sh', '-c', script])).match(/\bweft[0-9a-f]{10}h\b/g) ?? [];
  const own = attached.filter((container) => container.host === host);
  const wanted = own.map(({ endpoint }) => hostEnd(endpoint));
  assert.deepEqual([...new Set(links)].sort(), wanted.sort(), `links on ${host.name}`);
}

async function allReached(host: Host, attached: readonly Attached[]): Promise<void> {
  for (const { name } of bothFabrics) {
    const members = attached.filter(({ network }) => network === name);
    const script = members
      .map(({ address }) => `ping -c 1 -W 2 ${address} >/dev/null || echo ${address}`)
      .join('; ');
    for (const { container } of members.filter((member) => member.host === host)) {
      const unreached = await host.docker(['exec', container, 'sh', '-c', script]);
      assert.equal(unreached, '', `${container} on ${host.name} does not reach`);
    }
  }
}
