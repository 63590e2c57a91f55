import { setFlagsFromString } from "node:v8";

/*
 * The buffers of bodies live for moments, but V8 sees how much they hold only when it collects young objects, which it does
 * more rarely the more room it gives them. Until then they count as garbage of the whole heap, that is searched for them
 * again and again: half of the processor's time of a large push. So the room for young objects stays as small as it begins.
 */
setFlagsFromString("--semi-space-growth-factor=1");

/*
 * Long listings leave much behind that outlives two collections of young objects. It may grow to as much as is in use, not
 * to three times that, before it is collected.
 */
setFlagsFromString("--heap-growing-percent=100");
