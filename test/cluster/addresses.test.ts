/** Every way in which Docker asks for subnets and addresses that the other files have no need of. */
import { describe, expect, test } from 'vitest';
import { complaint, createNetwork, pings, reachesNot, startContainer, storeKeys, sweep } from './cluster.ts';
import { testCluster } from './test-lab.ts';

const lab = testCluster({
  name: 'addr',
  hosts: [
    { name: 'h1', docker: '26.1' },
    { name: 'h2', docker: '28.5' },
    { name: 'h3', docker: '20.10' },
  ],
  settings: { WEFT_ADDRESS_BY_MAC: 'on' },
});
/** Docker 26 asks for a gateway's address whatever the driver says, 28 only where there is one. */
const [h26, h28] = [lab.host('h1'), lab.host('h2')];

describe('two vxlan networks of the same subnet', () => {
  const subnet = '10.71.0.0/24';
  const named = (name: string) => ['--ipam-opt', `weft.network=${name}`, '-o', `weft.network=${name}`];

  test('connect the same addresses, each its own', async () => {
    for (const name of ['left', 'right']) {
      for (const [host, ip] of [
        [h26, '10.71.0.10'],
        [h28, '10.71.0.20'],
      ] as const) {
        await createNetwork(host, name, ['--subnet', subnet, '-o', 'weft.fabric=vxlan', ...named(name)]);
        expect(await startContainer(host, name, name, ['--ip', ip])).toBe(ip);
      }
    }
    for (const name of ['left', 'right']) {
      await pings(h26, name, '10.71.0.20');
      await pings(h28, name, '10.71.0.10');
    }
    await h28.docker(['rm', '--force', 'right']);
    expect(await reachesNot(h26, 'right', '10.71.0.20')).toBe(true);
    await pings(h26, 'left', '10.71.0.20');
  });

  test('leave the subnet to no routed one', async () => {
    const refusal = await complaint(createNetwork(h26, 'third', ['--subnet', subnet, ...named('third')]));
    expect(refusal).toContain('choose another --subnet, or -o weft.fabric=vxlan');
  });
});

test('of two hosts that ask for the same address at once one gets it, and the other hears who', async () => {
  const address = '10.72.0.77';
  for (const host of [h26, h28]) {
    await createNetwork(host, 'race', ['--subnet', '10.72.0.0/24', '-o', 'weft.network=race']);
    await startContainer(host, 'bridge', 'racer');
  }
  for (let round = 0; round < 10; round += 1) {
    const answers = await Promise.allSettled(
      [h26, h28].map((host) =>
        host.docker(['network', 'connect', '--ip', address, 'race', 'racer']).then(() => host),
      ),
    );
    const winners = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const refusals = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [String(answer.reason)] : [],
    );
    expect(winners, refusals.join('; ')).toHaveLength(1);
    expect(refusals.join()).toContain(`address ${address} is in use on host ${winners[0]?.name}`);
    await winners[0]?.docker(['network', 'disconnect', 'race', 'racer']);
  }
});

test('a network of several subnets serves from the next when one is full', async ({ skip }) => {
  skip(h26.isAtLeast('28.5'), 'no gateway takes one of the two addresses');
  const subnets = ['10.73.0.0/30', '10.74.0.0/29'];
  const several = subnets.flatMap((subnet) => ['--subnet', subnet]);
  const format = '{{range .IPAM.Config}}{{.Subnet}} {{end}}';
  // The command line asks for them in any order (docker/cli, consolidateIpam: a Go map).
  for (;;) {
    await createNetwork(h26, 'several', [...several, '-o', 'weft.replicate=off']);
    const made = await h26.docker(['network', 'inspect', '--format', format, 'several']);
    if (made.trim() === subnets.join(' ')) break;
    await h26.docker(['network', 'rm', 'several']);
  }
  expect(await startContainer(h26, 'several', 'several1')).toBe('10.73.0.2');
  expect(await startContainer(h26, 'several', 'several2')).toBe('10.74.0.2');
  await pings(h26, 'several1', '10.74.0.2');
  await pings(h26, 'several2', '10.73.0.2');
});

test('a host borrows an address of a subnet that is all one block of another host, and is reached there', async () => {
  for (const host of [h26, h28]) {
    await createNetwork(host, 'small', ['--subnet', '10.78.0.0/28', '-o', 'weft.network=small']);
  }
  const lender = await startContainer(h26, 'small', 'lender');
  const borrowed = await startContainer(h28, 'small', 'borrower');
  await pings(h26, 'lender', borrowed);
  await pings(h28, 'borrower', lender);
  expect(await h26.exec(['ip', '-4', 'route', 'show', borrowed])).toMatch(/via|encap/);
  expect(await complaint(startContainer(h28, 'small', 'other', ['--ip', lender]))).toContain('on host h1');
  await h28.docker(['rm', '--force', 'other']);
});

test('a subnet of one address serves one container, where Docker needs no gateway', async ({ skip }) => {
  skip(!h28.isAtLeast('28.5'), 'Docker lets a driver do without from 28 on');
  await createNetwork(h28, 'one', ['--subnet', '10.75.0.0/32']);
  expect(await startContainer(h28, 'one', 'one1')).toBe('10.75.0.0');
  const refusal = await complaint(startContainer(h28, 'one', 'one2'));
  expect(refusal).toContain('subnet 10.75.0.0/32 is full: 1 of 1 addresses are in use');
  await h28.docker(['rm', '--force', 'one2']);
});

test('an address that was given back is not given to the next container', async () => {
  const first = await startContainer(h28, 'race', 'first');
  await h28.docker(['rm', '--force', 'first']);
  expect(await startContainer(h28, 'race', 'second')).not.toBe(first);
  await h28.docker(['rm', '--force', 'second']);
  expect(await startContainer(h28, 'race', 'third', ['--ip', first])).toBe(first);
});

test('a container gets the address again that its MAC had, whichever Docker it is', async () => {
  for (const [index, host] of lab.hosts.entries()) {
    const mac = ['--mac-address', `02:42:00:00:00:0${index}`];
    await createNetwork(host, 'mac', ['--subnet', '10.76.0.0/24', '-o', 'weft.network=mac']);
    const address = await startContainer(host, 'mac', 'before', mac);
    await host.docker(['rm', '--force', 'before']);
    await startContainer(host, 'mac', 'between');
    expect(await startContainer(host, 'mac', 'again', mac)).toBe(address);
  }
});

test('nothing is left of any of them', async () => {
  await sweep(lab.hosts);
  expect(await storeKeys(lab)).toEqual([]);
});
