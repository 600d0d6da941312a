/** How weft's objects in the kernel are told from everyone else's. */

/** Names of weft's links in the host's namespace begin so. */
export const linkPrefix = 'weft';

/** Names of the namespaces that weft pins begin so. */
export const namespacePrefix = 'weft-';

/**
 * `protocol` of weft's routes and rules (`ip route show proto 119`): free in iproute2's rt_protos. Routes
 * bear it as their metric too, so that a route of someone else's to the same destination is never replaced.
 */
export const protocol = 119;

/**
 * Group of the containers' ends, so that one which Docker has not taken yet is not mistaken for a host's end. A link
 * that is moved to another namespace leaves its group.
 */
export const containerEndGroup = 119;

/** Group that links are gathered in to be deleted together. */
export const doomedGroup = 1190;
