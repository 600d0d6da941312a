import { expect, test } from 'vitest';
import { containerEnd, hostEnd, macOf, namespaceName, portMacOf } from '../../../src/model/names.ts';

test.each(['10.77.0.5', 'fd77::5'])('the MAC of %s is a single machine’s, and no vendor’s', (address) => {
  const mac = macOf(address);
  expect(mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
  expect(macOf(address)).toBe(mac);
});

test('addresses that have much in common have different MACs', () => {
  const addresses = Array.from({ length: 500 }, (_, n) => (n + 1).toString(16)).flatMap((n) => [
    `fd77::${n}`,
    `fd77:0:0:1::${n}`,
    `fd77::${n}:0:0:1`,
  ]);
  expect(new Set([...addresses, '10.77.0.5'].map(macOf)).size).toBe(addresses.length + 1);
});

test('the names of links and MACs of ports fit the kernel', () => {
  const id = 'f'.repeat(64);
  for (const name of [hostEnd(id), containerEnd(id), namespaceName(0xff_ff_ff)]) {
    expect(name.length).toBeLessThanOrEqual(15);
  }
  expect(portMacOf(id)).toMatch(/^02(:[0-9a-f]{2}){5}$/);
});
