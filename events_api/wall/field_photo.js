// A photograph made small before it travels: at most 1600 pixels, JPEG, and nothing in it but its pixels.

const LONGEST = 1600;
const QUALITY = 0.85;

// {blob, taken_at}. Drawing it anew leaves behind what the file says besides: where it was taken, and with which phone.
export async function shrink(file, now = Date.now()) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (!blob) throw new Error("no JPEG");
  return { blob, taken_at: new Date(Math.min(file.lastModified || now, now)).toISOString() };
}
