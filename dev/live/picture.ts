/** PNGs made on the spot for the questions about images: grids of coloured cells, and noise of any size. Pure. */
import { crc32, deflateSync } from 'node:zlib';

type Colour = readonly [red: number, green: number, blue: number];
const RED: Colour = [220, 30, 30];
const GREY: Colour = [200, 200, 205];
const WHITE: Colour = [255, 255, 255];

/** A grid of `size` × `size` cells of 100 pixels; the cells in `red` (from 1, row by row) are red, the others grey. */
export function gridPicture(size: number, red: readonly number[]): Uint8Array<ArrayBuffer> {
  const side = size * 100;
  return png(side, side, (x, y) => {
    if (x % 100 < 4 || y % 100 < 4) return WHITE;
    const cell = Math.floor(y / 100) * size + Math.floor(x / 100) + 1;
    return red.includes(cell) ? RED : GREY;
  });
}

/** A picture that does not compress: about `width` × `height` × 3 bytes. `random` gives numbers below 1. */
export function noisePicture(width: number, height: number, random: () => number): Uint8Array<ArrayBuffer> {
  const byte = (): number => Math.floor(random() * 256);
  return png(width, height, () => [byte(), byte(), byte()]);
}

function png(width: number, height: number, colourAt: (x: number, y: number) => Colour): Uint8Array<ArrayBuffer> {
  const row = 1 + width * 3;
  const pixels = new Uint8Array(row * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) pixels.set(colourAt(x, y), y * row + 1 + x * 3);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return bytesOf([signature, chunk('IHDR', head), chunk('IDAT', deflateSync(pixels)), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(name: string, data: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(typed), 4);
  return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)]);
}

function bytesOf(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}
