/** A process that starts a control plane, says where, and waits to be killed. */
import { ensureAssets, startControlPlane } from '../../dev/control-plane/index.ts';

const log = (line: string): void => console.error(line);
const controlPlane = await startControlPlane({ assets: await ensureAssets({ log, env: process.env }), log });
console.log(JSON.stringify({ ...controlPlane.pids(), kubeconfig: controlPlane.adminKubeconfig }));
