/** The tasks that the questions submit: public demo pages, and pictures made on the spot. */
import { gridPicture } from '../picture.ts';

/** Google's demo of reCAPTCHA v2, made for trying. */
export const V2 = {
  method: 'userrecaptcha',
  googlekey: '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-',
  pageurl: 'https://www.google.com/recaptcha/api2/demo',
};

/** The red cells of the picture that the questions about grids show. */
export const RED_CELLS = [1, 5, 9];
const INSTRUCTIONS = 'red squares';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const body = base64(gridPicture(3, RED_CELLS));

const OFFICIAL_FIELDS = { img_type: 'recaptcha', grid_size: '3x3', instructions: INSTRUCTIONS };
const OLDER_FIELDS = { recaptcha: '1', recaptcharows: '3', recaptchacols: '3', textinstructions: INSTRUCTIONS };

export const GRID = {
  official: { method: 'base64', body, ...OFFICIAL_FIELDS },
  older: { method: 'base64', body, ...OLDER_FIELDS },
  both: { method: 'base64', body, ...OFFICIAL_FIELDS, ...OLDER_FIELDS },
};

const TILES = Array.from({ length: 9 }, (_, index) => [
  `image_base64_${index + 1}`,
  `data:image/png;base64,${base64(gridPicture(1, index % 4 === 0 ? [1] : []))}`,
]);

export const BLS: Readonly<Record<string, string>> = {
  method: 'bls',
  instructions: '664',
  ...(Object.fromEntries(TILES) as Record<string, string>),
};
