/** Servers in containers that tell their names, and whom they hear; and how they are asked. */
import type { Host } from '../lab/host.ts';
import type { Process } from '../lab/machine.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';
import { addressOf } from './cluster.ts';

const web = `mkdir -p /www/cgi-bin
printf '#!/bin/sh\\necho; echo "$(hostname) hears $REMOTE_ADDR"\\n' > /www/cgi-bin/who
chmod +x /www/cgi-bin/who
exec busybox httpd -f -h /www -p 80`;

/** A web server at port 80. */
export async function serve(
  host: Host,
  network: string,
  name: string,
  args: readonly string[],
): Promise<string> {
  const command = [toolsImage, 'sh', '-c', web];
  const options = ['--detach', '--net', network, '--name', name, '--hostname', name, '--stop-signal', 'KILL'];
  await host.docker(['run', ...options, ...args, ...command]);
  return addressOf(host, network, name);
}

/** A host has no program for this but bash. */
export const fetchFrom = (host: Host, address: string, port: number) =>
  host.exec([
    ...['timeout', '3', 'bash', '-c'],
    `exec 3<> /dev/tcp/${address}/${port}; printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`,
  ]);
export const fetchIn = (host: Host, container: string, address: string, port: number) => {
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}/cgi-bin/who`;
  return host.docker(['exec', container, 'busybox', 'wget', '-q', '-T', '2', '-O', '-', url]);
};

/** In the container, at that UDP port, until it is ended; a host has no program for this but perl. */
export async function serveUdp(host: Host, container: string, port: number): Promise<Process> {
  const pid = (await host.docker(['inspect', '--format', '{{.State.Pid}}', container])).trim();
  const script = `use Socket qw(:all);
    socket(my $socket, AF_INET6, SOCK_DGRAM, 0) or die $!;
    bind($socket, pack_sockaddr_in6(${port}, IN6ADDR_ANY)) or die $!;
    while (my $from = recv($socket, my $text, 99, 0)) {
      my (undef, $address) = unpack_sockaddr_in6($from);
      send($socket, "${container} hears " . inet_ntop(AF_INET6, $address) . "\\n", 0, $from);
    }`;
  return host.start(`udp-${container}`, ['nsenter', '--target', pid, '--net', 'perl', '-e', script]);
}

/** A name server on the host that has one address for everything; answers what ends it. */
export async function serveDns(host: Host, address: string): Promise<() => Promise<unknown>> {
  const script = `
    use IO::Socket::INET;
    my $socket = IO::Socket::INET->new(LocalAddr => "${host.address}", LocalPort => 53, Proto => "udp") or die $!;
    fork and exit;
    open(my $pid, ">", "/run/dns.pid"); print $pid $$; close($pid);
    close($_) for (STDIN, STDOUT, STDERR);
    while ($socket->recv(my $query, 512)) {
      my $question = substr($query, 12);
      $question =~ s/^((?:[^\\0].*?)\\0....).*$/$1/s;
      $socket->send(pack("a2 n5", substr($query, 0, 2), 0x8180, 1, 1, 0, 0) . $question .
        pack("n3 N n C4", 0xc00c, 1, 1, 60, 4, ${address.replaceAll('.', ',')}));
    }`;
  await host.exec(['perl', '-e', script]);
  return () => host.exec(['sh', '-c', 'kill $(cat /run/dns.pid)']);
}

/** A datagram, answered by one. */
export const askUdp = (host: Host, address: string, port: number) =>
  host.exec([
    ...['timeout', '3', 'bash', '-c'],
    `exec 3<> /dev/udp/${address}/${port}; echo hello >&3; head -n 1 <&3`,
  ]);

/** The server may take a moment to listen. */
export async function hears(what: string, ask: () => Promise<string>, answer: string): Promise<void> {
  await waitFor(`${what} hears "${answer}"`, async () => {
    // Servers listen for IPv6, write IPv4 in its words, and may put brackets around.
    const heard = (await ask()).replace(/\[(.*)\]/, '$1').replace('::ffff:', '');
    if (heard.includes(answer)) return true;
    throw new Error(`heard "${heard}"`);
  });
}
