import { IMPOSSIBLE, VersionGraph, VersionInfo } from '@start9labs/start-sdk'

// The version of jd-manager, a colon, and the revision of the package. jd-manager upgrades its database itself and
// refuses to open a newer one, so there is no way down.
const current = VersionInfo.of({
  version: '0.1.0:0',
  releaseNotes: 'First package.',
  migrations: {
    up: async () => {},
    down: IMPOSSIBLE,
  },
})

export const versionGraph = VersionGraph.of({ current, other: [] })
