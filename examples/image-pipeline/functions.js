// Resizing: a copy of an image of `$IMAGES/taken`, as wide as wanted, in `$IMAGES/stored`.

import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

import { Failure, serve } from "../kit/functions.js";

const IMAGES = process.env.IMAGES ?? "images";

async function resize({ image, width }) {
  const from = decode(await readFile(join(IMAGES, "taken", image)), image);
  const height = Math.max(1, Math.round((from.height * width) / from.width));
  const pixels = Buffer.alloc(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = [Math.floor((x * from.width) / width), Math.floor((y * from.height) / height)];
      const source = 3 * (row * from.width + column);
      from.pixels.copy(pixels, 3 * (y * width + x), source, source + 3);
    }
  }
  const copy = `${basename(image, ".ppm")}-${width}.ppm`;
  await writeFile(join(IMAGES, "stored", copy), Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), pixels]));
  return { copy, width, height };
}

// Width, height and pixels of a PPM.
function decode(content, image) {
  const head = /^P6\s(\d+)\s(\d+)\s255\s/.exec(content.subarray(0, 64).toString("latin1"));
  if (!head) throw new Failure("UnknownFormat", `${image} is no PPM`);
  const [width, height] = [Number(head[1]), Number(head[2])];
  const pixels = content.subarray(head[0].length);
  const [bytes, expected] = [pixels.length, 3 * width * height];
  if (bytes < expected) throw new Failure("ImageTruncated", `${image} has ${bytes} of ${expected} bytes`);
  return { width, height, pixels };
}

await serve({ resize });
