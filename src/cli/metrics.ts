/** The status of a host as Prometheus reads it. */
import type { Status } from './upkeep.ts';

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly Sample[];
}

export function renderMetrics(status: Status): string {
  return metricsOf(status)
    .map(({ name, type, help, samples }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...samples.map(([labels, value]) => `${name}${renderLabels(labels)} ${value}`),
        '',
      ].join('\n'),
    )
    .join('');
}

function metricsOf({
  storeConnected,
  networks,
  peers,
  leftovers,
  driftRepaired,
  replication,
}: Status): Metric[] {
  const leaks = Object.entries(leftovers);
  const endpoints = networks.reduce((sum, network) => sum + network.endpoints, 0);
  return [
    gauge('weft_store_connected', 'Whether the store answers.', [[{}, Number(storeConnected)]]),
    gauge('weft_networks', 'Networks on this host.', [[{}, networks.length]]),
    gauge('weft_endpoints', 'Places of containers of this host on networks.', [[{}, endpoints]]),
    gauge(
      'weft_peer_alive',
      'Whether another host is heard of.',
      peers.map(({ name, alive }) => [{ host: name }, Number(alive)]),
    ),
    gauge(
      'weft_peer_direct',
      'Whether packets go to another host as they are.',
      peers.map(({ name, direct }) => [{ host: name }, Number(direct)]),
    ),
    gauge(
      'weft_leaks',
      'Objects held for nobody, at the last look.',
      leaks.map(([kind, { found }]) => [{ kind }, found]),
    ),
    counter(
      'weft_leaks_freed_total',
      'Objects held for nobody that were given back.',
      leaks.map(([kind, { freed }]) => [{ kind }, freed]),
    ),
    counter('weft_drift_repaired_total', 'Changes of others to the kernel that were undone.', [
      [{}, driftRepaired],
    ]),
    gauge('weft_replication_troubles', 'Networks that are not here as on other hosts.', [
      [{}, Object.keys(replication).length],
    ]),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'gauge', help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'counter', help, samples };
}

function renderLabels(labels: Sample[0]): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
