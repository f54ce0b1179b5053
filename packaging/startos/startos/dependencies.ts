import { sdk } from './sdk'

// Bitcoin Core is optional: block templates can come from a template provider on another machine. Its socket has to be
// enabled in its own settings; the page "Check node" of jd-manager says so if it is missing.
export const setDependencies = sdk.setupDependencies(async () => ({
  bitcoind: {
    kind: 'running',
    versionRange: '>=30.0:0',
    healthChecks: [],
  },
}))
