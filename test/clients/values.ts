/** What every client is asked to solve: one set of values, so that what they send can be compared field by field. */

export const KEY = '0123456789abcdef0123456789abcdef';
export const SITE_KEY = '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-';
export const PAGE = 'https://example.com/login?next=%2F&a=1';
export const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101';
export const COOKIES = 'a:1;b:2';
export const PROXY_ADDRESS = 'user:pass@192.0.2.7:3128';
export const GT = '81388ea1fc187e0c335c0a8907ff2625';
export const CHALLENGE = '8a1f4e5ad1e6f3c1';

/** The head of a GIF of 300 × 100 pixels, and nothing in it. */
export const IMAGE_BYTES: Buffer = imageBytes();
export const IMAGE: string = IMAGE_BYTES.toString('base64');

function imageBytes(): Buffer {
  const bytes = Buffer.alloc(120);
  bytes.write('GIF89a', 'latin1');
  bytes.writeUInt16LE(300, 6);
  bytes.writeUInt16LE(100, 8);
  return bytes;
}
