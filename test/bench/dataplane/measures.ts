/** What is measured between two ends, and by which programs. */
import { availableParallelism } from 'node:os';
import { CommandError } from '../../lab/run.ts';
import { waitFor } from '../../lab/wait.ts';
import type { RunIn } from './programs.ts';

export const measures = {
  tcp1: { title: 'TCP, 1 stream', unit: 'Gbit/s', better: 'more' },
  tcp4: { title: 'TCP, 4 streams', unit: 'Gbit/s', better: 'more' },
  packets: { title: 'UDP, 64 bytes', unit: 'kpps', better: 'more' },
  rtt: { title: 'round trip', unit: 'µs', better: 'less' },
  cpu: { title: 'CPU, TCP 1', unit: 's/GB', better: 'less' },
} as const;

export type MeasureName = keyof typeof measures;

export const measureNames: readonly MeasureName[] = ['tcp1', 'tcp4', 'packets', 'rtt', 'cpu'];

export type Sample = Readonly<Record<MeasureName, number>>;

/** Two ends that reach each other: files of network namespaces, and the server's address. */
export interface Path {
  readonly client: string;
  readonly server: string;
  readonly address: string;
}

/** Starts the servers of a path, which live as long as the lab, and waits until they answer. */
export async function serve(run: RunIn, { client, server, address }: Path): Promise<void> {
  // A daemon that kept the output open would be waited for.
  const detached = ['sh', '-c', 'exec "$@" >/dev/null 2>&1', 'sh'];
  await run(server, [...detached, 'sockperf', 'server', '--ip', address, '--daemonize']);
  await run(server, [...detached, 'iperf3', '--server', '--daemon']);
  await waitFor(`an answer of ${address}`, async () => {
    await run(client, ['iperf3', '--client', address, '--bytes', '1K', '--connect-timeout', '1000']);
    return true;
  });
}

export interface Meter {
  readonly run: RunIn;
  /** Of each of the four runs. */
  readonly seconds: number;
  readonly cpuSeconds: () => number;
}

/** @throws CommandError, or Error with what a program said instead of a figure */
export async function measure({ run, seconds, cpuSeconds }: Meter, path: Path): Promise<Sample> {
  const iperf = async (...args: readonly string[]) => {
    const client = ['iperf3', '--client', path.address, '--time', String(seconds), '--json', ...args];
    let report: IperfReport = {};
    await waitFor(`iperf3's server at ${path.address} to be done with the run before`, async () => {
      report = await iperfReport(run(path.client, client));
      return !report.error?.includes('busy');
    });
    return receivedOf(report);
  };
  // The kernel's default may be one that paces (bbr) and measures its timers, not the path.
  const tcp = ['--congestion', 'cubic'];
  const cpuBefore = cpuSeconds();
  const tcp1 = await iperf(...tcp);
  const cpu = (cpuSeconds() - cpuBefore) / (tcp1.bytes / 1e9);
  const tcp4 = await iperf(...tcp, '--parallel', '4');
  // Sender and receiver on a processor each: which of them shares one with what else is the largest noise.
  const pinned = availableParallelism() > 1 ? ['--affinity', '0,1'] : [];
  const udp = await iperf('--udp', '--bitrate', '0', '--length', '64', ...pinned);
  return {
    tcp1: tcp1.bits_per_second / 1e9,
    tcp4: tcp4.bits_per_second / 1e9,
    packets: ((udp.packets ?? Number.NaN) - (udp.lost_packets ?? Number.NaN)) / udp.seconds / 1e3,
    rtt: medianRtt(await run(path.client, pingPong(path.address, seconds))),
    cpu,
  };
}

interface Received {
  readonly bytes: number;
  readonly seconds: number;
  readonly bits_per_second: number;
  /** UDP only: those sent, and those of them that did not arrive. */
  readonly packets?: number;
  readonly lost_packets?: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end?: { readonly sum_received?: Received };
}

/** When it is to write JSON, iperf3 says there, and nowhere else, why it fails. */
async function iperfReport(output: Promise<string>): Promise<IperfReport> {
  const json = await output.catch((error: unknown) => {
    if (error instanceof CommandError && error.stdout !== '') return error.stdout;
    throw error;
  });
  return JSON.parse(json);
}

function receivedOf(report: IperfReport): Received {
  const received = report.end?.sum_received;
  if (report.error !== undefined || received === undefined || received.bytes === 0) {
    throw new Error(`iperf3: ${report.error ?? 'nothing was received'}`);
  }
  return received;
}

function pingPong(address: string, seconds: number): string[] {
  return [
    'sockperf',
    'ping-pong',
    '--ip',
    address,
    '--time',
    String(seconds),
    '--msg-size',
    '64',
    '--full-rtt',
  ];
}

function medianRtt(output: string): number {
  const median = /percentile 50\.000 =\s*([\d.]+)/.exec(output)?.[1];
  if (median === undefined) throw new Error(`sockperf gave no median: ${output.trim().split('\n').at(-1)}`);
  return Number(median);
}
