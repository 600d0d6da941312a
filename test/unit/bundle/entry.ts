/** Stands for weft in the test of the bundle: uses what a bundler cannot follow by itself. */
import { Etcd3 } from 'etcd3';
import koffi from 'koffi';
import { pino } from 'pino';

const getpid: () => number = koffi.load(null).func('int getpid()');
new Etcd3({ hosts: 'http://127.0.0.1:1' }).close();
pino().info({ machineCode: getpid() === process.pid }, 'bundled');
