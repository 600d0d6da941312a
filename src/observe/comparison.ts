/** What Docker has on this host against what weft has noted of it: a sentence for each difference. */
import { isDeepStrictEqual } from 'node:util';
import type { Ledger, LedgerEndpoint } from '../agent/ledger.ts';
import { shortId } from '../model/names.ts';
import type { Docker } from './docker.ts';
import type { DockerAttachment } from './docker-container.ts';
import { lostNetworks } from './lost-networks.ts';

/** Of weft's records. */
export interface Noted {
  readonly networks: Pick<Ledger['networks'], 'get' | 'all'>;
  readonly endpoints: Pick<Ledger['endpoints'], 'get' | 'all'>;
}

/** Of Docker's API. */
export type Comparable = Pick<Docker, 'networks' | 'hasNetwork' | 'attachments'>;

/** @throws WeftError when Docker does not answer */
export async function compareWithDocker(docker: Comparable, ledger: Noted): Promise<string[]> {
  const [networks, attachments] = await Promise.all([docker.networks(), docker.attachments()]);
  const lost = await lostNetworks(docker, networks, ledger.networks.all());
  const isNoted = (id: string) => ledger.networks.get(id) !== undefined;
  const ours = new Set(['weft', ...networks.filter(({ id }) => isNoted(id)).map(({ driver }) => driver)]);
  return [
    ...networks
      .filter(({ id, driver }) => ours.has(driver) && !isNoted(id))
      .map(
        ({ name }) =>
          `Docker has network ${name} of weft's driver, and weft does not know it: remove it and create it again`,
      ),
    ...lost.map(
      ({ id, key }) => `weft has network ${key} on this host (${shortId(id)}), and Docker does not`,
    ),
    ...attachments.flatMap((attachment) => differences(attachment, ledger)),
    ...lostEndpoints(attachments, ledger),
  ];
}

function differences({ container, network, endpoint, addresses }: DockerAttachment, ledger: Noted): string[] {
  const key = ledger.networks.get(network)?.key;
  if (key === undefined) return [];
  const where = `container ${container} is on network ${key}`;
  const noted = ledger.endpoints.get(endpoint);
  if (noted === undefined) {
    return [`${where} by endpoint ${shortId(endpoint)}, which weft does not know: start it again`];
  }
  if (isDeepStrictEqual(new Set(addresses), new Set(noted.addresses))) return [];
  return [
    `${where} with ${addresses.join(' and ')} in Docker, and with ${noted.addresses.join(' and ')} in weft`,
  ];
}

/** In a container by what weft knows, and in none that runs by what Docker knows. */
function lostEndpoints(attachments: readonly DockerAttachment[], { endpoints, networks }: Noted): string[] {
  const attached = new Set(attachments.map(({ endpoint }) => endpoint));
  const isLost = ({ id, sandbox }: LedgerEndpoint) => sandbox !== undefined && !attached.has(id);
  return endpoints
    .all()
    .filter(isLost)
    .map(({ id, network, addresses }) => {
      const key = networks.get(network)?.key ?? network;
      return `weft has endpoint ${shortId(id)} with ${addresses.join(' and ')} on network ${key}, and no container of Docker's that runs has it`;
    });
}
