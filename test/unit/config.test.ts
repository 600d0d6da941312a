import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { describeConfig, readConfig, readSockets } from '../../src/config.ts';
import { WeftError } from '../../src/errors.ts';
import { parsePrefix } from '../../src/model/address.ts';

function problemsOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(WeftError);
    expect(thrown).toMatchObject({ code: 'invalid' });
    return String(thrown);
  }
  throw new Error('the settings were accepted');
}

describe('without any setting', () => {
  test('weft serves one lone host with an etcd of its own', () => {
    expect(readConfig({ PATH: '/bin' })).toEqual({
      storePrefix: '/weft/v1/',
      hostName: hostname(),
      runDir: '/run',
      sockets: ['/run/docker/plugins/weft.sock', '/run/docker/plugins/weft-ipam.sock'],
      stateDir: '/var/lib/weft',
      automaticSubnets: { 4: { range: parsePrefix('10.160.0.0/11'), length: 20 } },
      blockSize: 64,
      excludedRanges: [],
      addressRestMs: 60_000,
      addressByMac: false,
      names: true,
      shortcut: true,
      vxlanPort: 4789,
      probePort: 9338,
      replicate: true,
      scope: 'local',
      resyncMs: 30_000,
      logLevel: 'info',
    });
  });

  test('an empty variable counts as not set', () => {
    expect(readConfig({ WEFT_ADDRESS: '', WEFT_POOL: ' ', WEFT_ETCD_ENDPOINTS: '' })).toEqual(readConfig({}));
  });
});

describe('the store', () => {
  test('takes several endpoints, with spaces and slashes around them forgiven', () => {
    const { store } = readConfig({ WEFT_ETCD_ENDPOINTS: 'https://etcd-1.lan:2379/, https://[fd00::2]:2379' });
    expect(store).toEqual({ endpoints: ['https://etcd-1.lan:2379', 'https://[fd00::2]:2379'] });
  });

  test('takes a client certificate and a login', () => {
    const { store } = readConfig({
      WEFT_ETCD_ENDPOINTS: 'https://10.0.0.1:2379',
      WEFT_ETCD_CA: '/etc/weft/ca.pem',
      WEFT_ETCD_CERT: '/etc/weft/cert.pem',
      WEFT_ETCD_KEY: '/etc/weft/key.pem',
      WEFT_ETCD_USER: 'weft',
      WEFT_ETCD_PASSWORD_FILE: '/etc/weft/password',
    });
    expect(store).toEqual({
      endpoints: ['https://10.0.0.1:2379'],
      caFile: '/etc/weft/ca.pem',
      client: { certFile: '/etc/weft/cert.pem', keyFile: '/etc/weft/key.pem' },
      login: { user: 'weft', passwordFile: '/etc/weft/password' },
    });
  });

  test.each([
    '10.0.0.1:2379',
    'http://10.0.0.1',
    'ftp://10.0.0.1:2379',
    'http://10.0.0.1:2379/v3',
    'http://10.0.0.1:2379,https://10.0.0.2:2379',
    'http://10.0.0.1:2379,,http://10.0.0.2:2379',
  ])('refuses the endpoints %s', (endpoints) => {
    expect(problemsOf({ WEFT_ETCD_ENDPOINTS: endpoints })).toContain(
      'WEFT_ETCD_ENDPOINTS must be a list like',
    );
  });

  test('does not repeat a password that stands in an endpoint', () => {
    const problems = problemsOf({ WEFT_ETCD_ENDPOINTS: 'http://root:secret@10.0.0.1:2379' });
    expect(problems).toContain('WEFT_ETCD_ENDPOINTS');
    expect(problems).not.toContain('secret');
  });

  test.each([
    [{ WEFT_ETCD_CERT: '/c' }, 'WEFT_ETCD_CERT and WEFT_ETCD_KEY must be set together'],
    [{ WEFT_ETCD_USER: 'weft' }, 'WEFT_ETCD_USER and WEFT_ETCD_PASSWORD_FILE must be set together'],
    [{ WEFT_ETCD_CA: '/ca', WEFT_ETCD_ENDPOINTS: 'http://h:1' }, 'https://'],
    [{ WEFT_ETCD_USER: 'weft', WEFT_ETCD_PASSWORD_FILE: '/p' }, 'WEFT_ETCD_USER needs WEFT_ETCD_ENDPOINTS'],
  ])('refuses %j, which does not fit together', (env, problem) => {
    expect(problemsOf(env)).toContain(problem);
  });

  test.each([
    ['/weft', '/weft/'],
    ['/a/b//', '/a/b/'],
  ])('its prefix %s ends in one slash', (text, prefix) => {
    expect(readConfig({ WEFT_ETCD_PREFIX: text }).storePrefix).toBe(prefix);
  });
});

describe('the sockets', () => {
  const own = '/run/docker/plugins/weft.sock';
  const plain = [own, '/run/docker/plugins/weft-ipam.sock'];

  test("are by default those of the two drivers among the host's plugins", () => {
    expect(readSockets({})).toEqual(plain);
  });

  test('of a managed plugin end with its own', () => {
    expect(readSockets({ WEFT_RUN_DIR: '/host/run/', WEFT_MANAGED_SOCKET: own })).toEqual([
      '/host/run/docker/plugins/weft.sock',
      '/host/run/docker/plugins/weft-ipam.sock',
      own,
    ]);
  });

  test('are each one file', () => {
    expect(readSockets({ WEFT_MANAGED_SOCKET: own })).toEqual(plain);
  });

  test('are there even when the settings are wrong', () => {
    expect(readSockets({ WEFT_RUN_DIR: 'run', WEFT_ADDRESS: 'here' })).toEqual(plain);
  });
});

describe('bad settings', () => {
  test.each([
    ['WEFT_ETCD_CA', 'ca.pem'],
    ['WEFT_ETCD_PREFIX', 'weft'],
    ['WEFT_ADDRESS', '10.0.0.256'],
    ['WEFT_ADDRESS', '10.0.0.1/24'],
    ['WEFT_HOSTNAME', 'two words'],
    ['WEFT_POOL', '10.160.0.1/11'],
    ['WEFT_POOL', 'fd00::/48'],
    ['WEFT_POOL', '10.0.0.0/30'],
    ['WEFT_SUBNET_LENGTH', '30'],
    ['WEFT_SUBNET_LENGTH', '10'],
    ['WEFT_BLOCK_SIZE', '100'],
    ['WEFT_POOL_EXCLUDE', '10.170.0.0/16,nonsense'],
    ['WEFT_POOL6', '10.0.0.0/8'],
    ['WEFT_POOL6', 'fd00::/65'],
    ['WEFT_VXLAN_PORT', '0'],
    ['WEFT_VXLAN_PORT', '65536'],
    ['WEFT_VXLAN_PORT', '4789.5'],
    ['WEFT_RESYNC_SECONDS', '-1'],
    ['WEFT_LOG_LEVEL', 'loud'],
    ['WEFT_RUN_DIR', 'run'],
    ['WEFT_STATE_DIR', './state'],
    ['WEFT_MANAGED_SOCKET', 'weft.sock'],
  ])('%s=%s is refused by name', (name, value) => {
    expect(problemsOf({ [name]: value })).toContain(`${name} must be`);
  });

  test('a misspelt name is refused with the nearest one', () => {
    expect(problemsOf({ WEFT_ETCD_ENDPOINT: '' })).toContain('did you mean WEFT_ETCD_ENDPOINTS?');
  });

  test('all of them are named at once, each once', () => {
    const problems = problemsOf({ WEFT_ADDRESS: 'here', WEFT_VXLAN_PORT: 'x', WEFT_NONSENSE_SETTING: '1' });
    for (const name of ['WEFT_ADDRESS', 'WEFT_VXLAN_PORT', 'WEFT_NONSENSE_SETTING']) {
      expect(problems.split(name), name).toHaveLength(2);
    }
  });
});

test('a description of the settings can be printed as JSON', () => {
  const config = readConfig({
    WEFT_ADDRESS: 'FD00:0::1',
    WEFT_POOL: '10.64.0.0/12',
    WEFT_POOL6: 'fd00:1::/48',
    WEFT_POOL_EXCLUDE: '10.70.0.0/16, fd00:1:0:1::/64',
  });
  expect(JSON.parse(JSON.stringify(describeConfig(config)))).toMatchObject({
    address: 'fd00::1',
    automaticSubnets: ['/20 of 10.64.0.0/12', '/64 of fd00:1::/48'],
  });
});
