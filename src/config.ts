/** The settings of this process: the only place where the environment is read. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { WeftError } from './errors.ts';
import { type Address, families, type Prefix, printAddress, printPrefix } from './model/address.ts';
import { nearest } from './model/nearest.ts';
import {
  isSettingName,
  type LogLevel,
  type Scope,
  type SettingName,
  type SettingValues,
  settings,
} from './settings.ts';

/** How to reach the store that the hosts share. The files are PEM. */
export interface StoreAccess {
  /** `http://host:port` or `https://host:port`, never mixed. */
  readonly endpoints: readonly string[];
  readonly caFile?: string;
  readonly client?: { readonly certFile: string; readonly keyFile: string };
  readonly login?: { readonly user: string; readonly passwordFile: string };
}

interface SubnetRange {
  readonly range: Prefix;
  readonly length: number;
}

export interface Config {
  /** Absent: weft runs an etcd of its own, which serves this host and no other. */
  readonly store?: StoreAccess;
  /** All keys of weft begin with it; ends in `/`. */
  readonly storePrefix: string;
  /** Underlay address of this host; absent: the one that the kernel uses towards the store. */
  readonly address?: Address;
  /** Shown to people; hosts are told apart by an id. */
  readonly hostName: string;
  /** Where the host's `/run` is seen. */
  readonly runDir: string;
  /** Unix sockets to serve, in the order to open them. */
  readonly sockets: readonly string[];
  readonly stateDir: string;
  /** Where subnets come from that nobody asked for by name, and the prefix length of each. */
  readonly automaticSubnets: { readonly 4: SubnetRange; readonly 6?: SubnetRange };
  /** Addresses in a block, a power of two: of the subnets that this host is the first to use. */
  readonly blockSize: number;
  /** What such subnets must not overlap. */
  readonly excludedRanges: readonly Prefix[];
  /** For how long an address that was given back is given to nobody who did not ask for it by name. */
  readonly addressRestMs: number;
  /** Whether a container gets the address that its MAC had before. */
  readonly addressByMac: boolean;
  /** Whether containers of this host are told the names of those on others. */
  readonly names: boolean;
  /** Whether packets may pass by the packet filter of this host. */
  readonly shortcut: boolean;
  readonly vxlanPort: number;
  readonly probePort: number;
  /** Whether this host makes networks of the others, and they its. */
  readonly replicate: boolean;
  /** Whether Docker makes networks on this host, or swarm for all of its hosts. */
  readonly scope: Scope;
  /** Time between two full passes that repair drift. */
  readonly resyncMs: number;
  readonly logLevel: LogLevel;
}

type Environment = Readonly<NodeJS.ProcessEnv>;
type Read = <N extends SettingName>(name: N) => SettingValues[N];

/** An empty variable counts as not set: Docker hands over all that config.json lists. */
function reader(env: Environment, problems: Set<string>): Read {
  return (name) => {
    const setting = settings[name];
    try {
      return setting.parse(env[name]?.trim() || setting.default);
    } catch {
      // Without the text itself: it may be an endpoint with a password in it.
      problems.add(`${name} must be ${setting.expected}`);
      return setting.parse(setting.default);
    }
  };
}

/** Never throws: weft must be heard to say what is wrong with its settings. */
export function readSockets(env: Environment = process.env): readonly string[] {
  return socketPaths(reader(env, new Set()));
}

/** What Docker asks for before anything else. Never throws. */
export function readCapabilities(env: Environment = process.env): {
  readonly scope: Scope;
  readonly wantsMac: boolean;
} {
  const read = reader(env, new Set());
  return { scope: read('WEFT_SCOPE'), wantsMac: read('WEFT_ADDRESS_BY_MAC') };
}

/** Where the command `weft` asks the weft that runs. Never throws. */
export function readUpkeepSocket(env: Environment = process.env): string {
  return join(reader(env, new Set())('WEFT_STATE_DIR'), 'weft.sock');
}

/**
 * Docker finds a driver called `weft` by the socket of that name among the host's plugins. The managed
 * plugin's own comes last: Docker takes it as the sign that the plugin is ready.
 */
function socketPaths(read: Read): readonly string[] {
  const plugins = join(read('WEFT_RUN_DIR'), 'docker/plugins');
  const managed = read('WEFT_MANAGED_SOCKET');
  // Where the host's /run is the process's own, the managed socket is one of the others.
  const paths = new Set([join(plugins, 'weft.sock'), join(plugins, 'weft-ipam.sock')]);
  if (managed !== undefined) paths.add(managed);
  return [...paths];
}

/** @throws WeftError `invalid` that names everything that is wrong, not only the first */
export function readConfig(env: Environment = process.env): Config {
  const problems = new Set(unknownNames(env));
  const read = reader(env, problems);
  const address = read('WEFT_ADDRESS');
  const store = readStoreAccess(read, problems);
  const pool = { range: read('WEFT_POOL'), length: read('WEFT_SUBNET_LENGTH') };
  const range6 = read('WEFT_POOL6');
  if (pool.length < pool.range.length) {
    problems.add('WEFT_SUBNET_LENGTH must be at least the prefix length of WEFT_POOL');
  }
  const config: Config = {
    ...(store && { store }),
    storePrefix: read('WEFT_ETCD_PREFIX'),
    ...(address && { address }),
    hostName: read('WEFT_HOSTNAME') ?? hostname(),
    runDir: read('WEFT_RUN_DIR'),
    sockets: socketPaths(read),
    stateDir: read('WEFT_STATE_DIR'),
    automaticSubnets: {
      4: pool,
      ...(range6 && { 6: { range: range6, length: families[6].subnetLength } }),
    },
    blockSize: read('WEFT_BLOCK_SIZE'),
    excludedRanges: read('WEFT_POOL_EXCLUDE'),
    addressRestMs: read('WEFT_ADDRESS_REST_SECONDS') * 1000,
    addressByMac: read('WEFT_ADDRESS_BY_MAC'),
    names: read('WEFT_DNS'),
    shortcut: read('WEFT_SHORTCUT'),
    vxlanPort: read('WEFT_VXLAN_PORT'),
    probePort: read('WEFT_PROBE_PORT'),
    replicate: read('WEFT_REPLICATE'),
    scope: read('WEFT_SCOPE'),
    resyncMs: read('WEFT_RESYNC_SECONDS') * 1000,
    logLevel: read('WEFT_LOG_LEVEL'),
  };
  if (problems.size > 0) {
    throw new WeftError('invalid', `the settings of weft are wrong: ${[...problems].join('; ')}`);
  }
  return config;
}

/** For the log: addresses as text. Nothing in it is secret. */
export function describeConfig({ address, automaticSubnets, excludedRanges, ...rest }: Config): object {
  return {
    ...rest,
    ...(address && { address: printAddress(address) }),
    excludedRanges: excludedRanges.map(printPrefix),
    automaticSubnets: Object.values(automaticSubnets).map(
      ({ range, length }) => `/${length} of ${printPrefix(range)}`,
    ),
  };
}

function readStoreAccess(read: Read, problems: Set<string>): StoreAccess | undefined {
  const endpoints = read('WEFT_ETCD_ENDPOINTS');
  const caFile = read('WEFT_ETCD_CA');
  const certFile = read('WEFT_ETCD_CERT');
  const keyFile = read('WEFT_ETCD_KEY');
  const user = read('WEFT_ETCD_USER');
  const passwordFile = read('WEFT_ETCD_PASSWORD_FILE');

  if ((certFile === undefined) !== (keyFile === undefined)) {
    problems.add('WEFT_ETCD_CERT and WEFT_ETCD_KEY must be set together');
  }
  if ((user === undefined) !== (passwordFile === undefined)) {
    problems.add('WEFT_ETCD_USER and WEFT_ETCD_PASSWORD_FILE must be set together');
  }
  const usesTls = endpoints.some((endpoint) => endpoint.startsWith('https:'));
  if (!usesTls && (caFile ?? certFile ?? keyFile) !== undefined) {
    problems.add(
      'WEFT_ETCD_CA, WEFT_ETCD_CERT and WEFT_ETCD_KEY need WEFT_ETCD_ENDPOINTS that begin with https://',
    );
  }
  if (endpoints.length === 0) {
    if (user !== undefined) problems.add('WEFT_ETCD_USER needs WEFT_ETCD_ENDPOINTS');
    return undefined;
  }
  return {
    endpoints,
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && keyFile !== undefined && { client: { certFile, keyFile } }),
    ...(user !== undefined && passwordFile !== undefined && { login: { user, passwordFile } }),
  };
}

function unknownNames(env: Environment): string[] {
  const unknown = Object.keys(env).filter((name) => name.startsWith('WEFT_') && !isSettingName(name));
  return unknown.map((name) => {
    const suggestion = nearest(name, Object.keys(settings));
    return `there is no ${name}${suggestion === undefined ? '' : `: did you mean ${suggestion}?`}`;
  });
}
