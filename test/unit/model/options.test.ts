import { describe, expect, test } from 'vitest';
import { networkOptions, parseNetworkOptions } from '../../../src/model/options.ts';

describe('options of a network', () => {
  test('are typed', () => {
    expect(
      parseNetworkOptions({
        'weft.network': 'blue',
        'weft.fabric': 'vxlan',
        'weft.vni': '77',
        'weft.mtu': '1400',
      }),
    ).toEqual({ network: 'blue', fabric: 'vxlan', vni: 77, mtu: 1400 });
  });

  test("may be Docker's own labels; weft's win", () => {
    expect(parseNetworkOptions({ 'com.docker.network.driver.mtu': '1300' })).toEqual({ mtu: 1300 });
    expect(parseNetworkOptions({ 'weft.mtu': '1200', 'com.docker.network.driver.mtu': '1300' })).toEqual({
      mtu: 1200,
    });
  });

  test('leave labels alone that are meant for others', () => {
    expect(parseNetworkOptions({ 'com.example.team': 'x', parent: 'eth0' })).toEqual({});
  });

  test.each([
    [{ 'weft.fabrik': 'vxlan' }, 'there is no option weft.fabrik: did you mean weft.fabric?'],
    [{ 'weft.fabric': 'ipip' }, 'option weft.fabric=ipip must be routed or vxlan'],
    [{ 'weft.vni': '16777216' }, 'option weft.vni=16777216 must be one whole number from 1 to 16777215'],
    [{ 'weft.mtu': '1e3' }, 'option weft.mtu=1e3 must be a whole number from 576 to 65535'],
    [{ 'weft.network': 'a/b' }, 'option weft.network=a/b must be a name'],
  ])('refuse %j in one sentence', (given, sentence) => {
    expect(() => parseNetworkOptions(given as Record<string, string>)).toThrow(sentence);
  });

  test('are each described', () => {
    for (const option of Object.values(networkOptions)) expect(option.help).toMatch(/\.$/);
  });
});
