/** A process that looks for the control plane's binaries, for tests that start two of them or kill one half-way. */
import { ensureAssets } from '../../dev/control-plane/index.ts';

console.log(JSON.stringify(await ensureAssets({ log: (line) => console.error(line), env: process.env })));
