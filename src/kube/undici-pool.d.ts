/**
 * The pool alone, without the package's entry, which loads fetch, caches and WebSockets as well: 13 MB of memory and
 * 50 ms of start for nothing we use. undici has no `exports` map and its version is pinned. For `transport.ts`.
 */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export = Pool;
}
