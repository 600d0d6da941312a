/** The hosts whose Docker daemon is started again and again; weft is installed on all. */
import { createNetwork, startContainer } from '../../cluster/cluster.ts';
import type { Host } from '../../lab/host.ts';

const networkCount = 20;

export interface Subject {
  /** Of the host. */
  readonly id: string;
  readonly what: string;
  /** What it is held against. */
  readonly against?: string;
  /** Driver of its networks; absent: it has none. */
  readonly driver?: 'bridge' | 'weft';
  /** Whether each has a container that is to be there always. */
  readonly containers: boolean;
}

const nothing = 'no network, no container';
const bridges = '20 bridges, a container on each';

export const subjects: readonly Subject[] = [
  { id: 'h1', what: nothing, containers: false },
  { id: 'h2', what: '20 networks of weft', against: nothing, driver: 'weft', containers: false },
  { id: 'h3', what: bridges, driver: 'bridge', containers: true },
  {
    ...{ id: 'h4', what: '20 networks of weft, a container on each', against: bridges },
    ...{ driver: 'weft', containers: true },
  },
];

/** Makes what the host is to have; answers the names of its containers, with the address of each. */
export async function furnish(host: Host, { id, driver, containers }: Subject): Promise<Map<string, string>> {
  const addresses = new Map<string, string>();
  if (driver === undefined) return addresses;
  for (let n = 0; n < networkCount; n += 1) {
    const [name, range] = [`n${n}`, `10.${60 + Number(id.slice(1))}.${n}`];
    const terms = ['--subnet', `${range}.0/24`];
    if (driver === 'bridge') await host.docker(['network', 'create', ...terms, name]);
    else await createNetwork(host, name, [...terms, '-o', `weft.fabric=${n % 2 === 0 ? 'routed' : 'vxlan'}`]);
    if (!containers) continue;
    const wish = ['--restart', 'always', '--ip', `${range}.9`];
    addresses.set(name, await startContainer(host, name, name, wish));
  }
  return addresses;
}
