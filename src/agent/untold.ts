/** What Docker has on this host by this host's own records, and the store does not have: a sentence each. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { parsePoolId } from '../ipam/holdings.ts';
import { shortId } from '../model/names.ts';
import type { Inventory } from './inventory.ts';
import type { Ledger } from './ledger.ts';

export function untold(ledger: Ledger, hostId: string, inventory: Inventory): string[] {
  const { hosts, participants, references, endpoints } = inventory;
  const networks = ledger.networks.all().filter(({ id, key }) => {
    const isThis = ({ network, participant }: Inventory['participants'][number]) =>
      network === key && participant.host === hostId && participant.dockerNetworks.includes(id);
    return !participants.some(isThis);
  });
  const held = new Set(references.map(({ pool, id }) => `${id}@${pool}`));
  const pools = ledger.pools.all().filter(({ id }) => !held.has(id));
  const announced = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
  const attached = ledger.endpoints.all().filter(({ sandbox }) => sandbox !== undefined);
  const unlike = attached.filter(({ id, addresses }) => {
    const record = announced.get(id);
    return record?.host !== hostId || !isDeepStrictEqual(record.addresses, addresses);
  });
  return [
    ...(hosts.has(hostId) ? [] : ['the store does not know this host']),
    ...networks.map(
      ({ id, key }) => `the store does not know network ${key} to be on this host (${shortId(id)})`,
    ),
    ...pools.map(
      ({ id }) => `the store does not know this host to use subnet ${parsePoolId(id)?.name ?? id}`,
    ),
    ...unlike.map(
      ({ id, addresses }) =>
        `the store does not have endpoint ${shortId(id)} of this host with ${addresses.join(' and ')}`,
    ),
  ];
}
