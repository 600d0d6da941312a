/**
 * What the user can set, as `WEFT_*` environment variables. This one table drives parsing, the error messages,
 * the documentation and the check that the managed plugin's config.json offers the same. No setting is a
 * secret: keys and passwords are named by file, so that neither `docker plugin inspect` nor the log shows one.
 */
import { isAbsolute, normalize } from 'node:path';
import {
  type Address,
  type Family,
  families,
  type Prefix,
  parseAddress,
  parsePrefix,
} from './model/address.ts';

const scopes = ['local', 'global'] as const;
export type Scope = (typeof scopes)[number];

const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

interface Setting<T> {
  readonly help: string;
  /** Completes `... must be`. */
  readonly expected: string;
  /** As text, and itself of the expected form. */
  readonly default: string;
  /** Fixed by what config.json mounts, so a user of the managed plugin cannot change it. */
  readonly managed?: string;
  /** Throws anything when the text is not of the expected form. */
  readonly parse: (text: string) => T;
}

export interface SettingValues {
  WEFT_ETCD_ENDPOINTS: readonly string[];
  WEFT_ETCD_CA: string | undefined;
  WEFT_ETCD_CERT: string | undefined;
  WEFT_ETCD_KEY: string | undefined;
  WEFT_ETCD_USER: string | undefined;
  WEFT_ETCD_PASSWORD_FILE: string | undefined;
  WEFT_ETCD_PREFIX: string;
  WEFT_ADDRESS: Address | undefined;
  WEFT_HOSTNAME: string | undefined;
  WEFT_POOL: Prefix;
  WEFT_SUBNET_LENGTH: number;
  WEFT_POOL6: Prefix | undefined;
  WEFT_BLOCK_SIZE: number;
  WEFT_POOL_EXCLUDE: readonly Prefix[];
  WEFT_ADDRESS_REST_SECONDS: number;
  WEFT_ADDRESS_BY_MAC: boolean;
  WEFT_DNS: boolean;
  WEFT_SHORTCUT: boolean;
  WEFT_VXLAN_PORT: number;
  WEFT_PROBE_PORT: number;
  WEFT_REPLICATE: boolean;
  WEFT_SCOPE: Scope;
  WEFT_RESYNC_SECONDS: number;
  WEFT_LOG_LEVEL: LogLevel;
  WEFT_RUN_DIR: string;
  WEFT_STATE_DIR: string;
  WEFT_MANAGED_SOCKET: string | undefined;
}
export type SettingName = keyof SettingValues;

export const settings: { readonly [N in SettingName]: Setting<SettingValues[N]> } = {
  WEFT_ETCD_ENDPOINTS: {
    help: 'etcd servers that all hosts share, separated by commas; empty: an etcd of its own, for one lone host.',
    expected: 'a list like https://10.0.0.1:2379,https://10.0.0.2:2379, all http or all https',
    default: '',
    parse: parseEndpoints,
  },
  WEFT_ETCD_CA: {
    help: 'File with the authorities that may vouch for etcd; empty: the well-known ones of the web.',
    expected: 'an absolute path',
    default: '',
    parse: optional(parsePath),
  },
  WEFT_ETCD_CERT: {
    help: 'File with the client certificate to show to etcd.',
    expected: 'an absolute path',
    default: '',
    parse: optional(parsePath),
  },
  WEFT_ETCD_KEY: {
    help: 'File with the private key of the client certificate.',
    expected: 'an absolute path',
    default: '',
    parse: optional(parsePath),
  },
  WEFT_ETCD_USER: {
    help: 'User to log in to etcd as.',
    expected: 'a name without spaces',
    default: '',
    parse: optional(parseWord),
  },
  WEFT_ETCD_PASSWORD_FILE: {
    help: 'File with the password of that user.',
    expected: 'an absolute path',
    default: '',
    parse: optional(parsePath),
  },
  WEFT_ETCD_PREFIX: {
    help: 'What all keys of weft in etcd begin with; hosts of one cluster need the same.',
    expected: 'a path like /weft/v1/',
    default: '/weft/v1/',
    parse: (text) => `${parsePath(text).replace(/\/+$/, '')}/`,
  },
  WEFT_ADDRESS: {
    help: 'Address at which the other hosts reach this one; empty: the one used towards etcd.',
    expected: 'an IP address',
    default: '',
    parse: optional(parseAddress),
  },
  WEFT_HOSTNAME: {
    help: "Name under which this host is shown; empty: the machine's.",
    expected: 'a name without spaces',
    default: '',
    parse: optional(parseWord),
  },
  WEFT_POOL: {
    help: 'Range from which networks get a subnet when none is asked for; hosts of one cluster need the same.',
    expected: 'an IPv4 range like 10.160.0.0/11, /28 or larger',
    default: '10.160.0.0/11',
    parse: parseRange(4, 28),
  },
  WEFT_SUBNET_LENGTH: {
    help: 'Prefix length of such a subnet.',
    expected: 'a whole number from 8 to 29',
    default: '20',
    parse: integer(8, 29),
  },
  WEFT_POOL6: {
    help: 'Range from which networks get an IPv6 /64 when none is asked for, the same on all hosts; empty: a random one, which the first host draws for the cluster.',
    expected: 'an IPv6 range like fd12:3456:789a::/48, /64 or larger',
    default: '',
    parse: optional(parseRange(6, families[6].subnetLength)),
  },
  WEFT_BLOCK_SIZE: {
    help: 'Addresses in a block: so many a host takes from a network at once, and others have one route for them. Of networks that are made from then on.',
    expected: '32, 64, 128 or 256',
    default: '64',
    parse: (text) => [32, 64, 128, 256].find((size) => String(size) === text) ?? malformed(),
  },
  WEFT_POOL_EXCLUDE: {
    help: 'Ranges, separated by commas, that such subnets must not overlap, besides the routes of all hosts; hosts of one cluster need the same.',
    expected: 'a list like 10.170.0.0/16,fd12:3456:789a:1::/64',
    default: '',
    parse: (text) => (text === '' ? [] : text.split(',').map((cidr) => parsePrefix(cidr.trim()))),
  },
  WEFT_ADDRESS_REST_SECONDS: {
    help: 'Time for which an address that a container gave back is given to no other, as long as there are more; who asks for it by name gets it at once.',
    expected: 'a whole number from 0 to 86400',
    default: '60',
    parse: integer(0, 86_400),
  },
  WEFT_ADDRESS_BY_MAC: {
    help: 'on: a container started with --mac-address gets the address again that it had, if it is free; Docker then makes up the MACs of all others, and each address costs a reading of the blocks of its subnet beside the transaction. Takes effect when the plugin is enabled.',
    expected: 'on or off',
    default: 'off',
    parse: parseSwitch,
  },
  WEFT_DNS: {
    help: 'Whether containers of this host find those of other hosts by name: `on` or `off`.',
    expected: 'on or off',
    default: 'on',
    parse: parseSwitch,
  },
  WEFT_SHORTCUT: {
    help: 'Whether packets between containers of one network pass by the packet filter of this host, where the kernel can: `on` or `off`.',
    expected: 'on or off',
    default: 'on',
    parse: parseSwitch,
  },
  WEFT_VXLAN_PORT: {
    help: 'UDP port of VXLAN packets between hosts; hosts of one cluster need the same.',
    expected: 'a whole number from 1 to 65535',
    default: '4789',
    parse: integer(1, 65_535),
  },
  WEFT_PROBE_PORT: {
    help: 'UDP port at which hosts find out whether packets of containers pass between them as they are; hosts of one cluster need the same.',
    expected: 'a whole number from 1 to 65535',
    default: '9338',
    parse: integer(1, 65_535),
  },
  WEFT_REPLICATE: {
    help: 'Whether networks made on one host are made on the others too, through the Docker API: `on`, or `off` for this host.',
    expected: 'on or off',
    default: 'on',
    parse: parseSwitch,
  },
  WEFT_SCOPE: {
    help: 'global: this host is in a swarm, whose managers make its networks and choose addresses; then weft serves no networks but such. Takes effect when the plugin is enabled.',
    expected: 'local or global',
    default: 'local',
    parse: oneOf(scopes),
  },
  WEFT_RESYNC_SECONDS: {
    help: 'Time between two full comparisons of the kernel with what should be there.',
    expected: 'a whole number from 1 to 86400',
    default: '30',
    parse: integer(1, 86_400),
  },
  WEFT_LOG_LEVEL: {
    help: 'Least severity of what is logged: debug, info, warn or error.',
    expected: 'debug, info, warn or error',
    default: 'info',
    parse: oneOf(logLevels),
  },
  WEFT_RUN_DIR: {
    help: "Where the host's /run is mounted.",
    expected: 'an absolute path',
    default: '/run',
    managed: '/host/run',
    parse: parsePath,
  },
  WEFT_STATE_DIR: {
    help: 'Folder for what must outlive a restart.',
    expected: 'an absolute path',
    default: '/var/lib/weft',
    managed: '/var/lib/weft',
    parse: parsePath,
  },
  WEFT_MANAGED_SOCKET: {
    help: 'Socket at which Docker looks for its managed plugin; empty: not run by Docker.',
    expected: 'an absolute path',
    default: '',
    managed: '/run/docker/plugins/weft.sock',
    parse: optional(parsePath),
  },
};

function malformed(): never {
  throw new TypeError('not of the expected form');
}

function optional<T>(parse: (text: string) => T): (text: string) => T | undefined {
  return (text) => (text === '' ? undefined : parse(text));
}

function integer(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= from && value <= to ? value : malformed();
  };
}

function parseSwitch(text: string): boolean {
  return text === 'on' || text === 'off' ? text === 'on' : malformed();
}

function parsePath(text: string): string {
  return isAbsolute(text) ? normalize(text) : malformed();
}

function parseWord(text: string): string {
  return /^\S{1,253}$/.test(text) ? text : malformed();
}

function parseRange(family: Family, longest: number): (text: string) => Prefix {
  return (text) => {
    const range = parsePrefix(text);
    return range.family === family && range.length <= longest ? range : malformed();
  };
}

function oneOf<T extends string>(values: readonly T[]): (text: string) => T {
  return (text) => values.find((value) => value === text) ?? malformed();
}

const endpointPattern = /^(?<endpoint>(?<scheme>https?):\/\/(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5})\/?$/;

/** etcd clients take neither a mix of schemes nor a slash at the end; the slash is forgiven here. */
function parseEndpoints(text: string): readonly string[] {
  if (text === '') return [];
  const matches = text
    .split(',')
    .map((endpoint) => endpointPattern.exec(endpoint.trim())?.groups ?? malformed());
  if (new Set(matches.map(({ scheme }) => scheme)).size > 1) malformed();
  return matches.map(({ endpoint }) => endpoint ?? malformed());
}

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}
