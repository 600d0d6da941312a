/** The rows hold with Docker's own driver: they say what Docker does. */
import { everyDocker, testLab } from '../cluster/test-lab.ts';
import { behavioursSuite } from './suite.ts';

behavioursSuite('bridge', testLab({ name: 'behbridge', hosts: everyDocker }));
