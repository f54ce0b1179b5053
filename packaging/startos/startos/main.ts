import {
  bitcoinDir,
  dataDir,
  firstMinerPort,
  minerPortCount,
  uiPort,
} from './constants'
import { sdk } from './sdk'

export const main = sdk.setupMain(async ({ effects }) => {
  const mounts = sdk.Mounts.of()
    .mountVolume({
      volumeId: 'main',
      subpath: null,
      mountpoint: dataDir,
      readonly: false,
    })
    // The directory of the node, because its socket appears and disappears.
    .mountDependency({
      dependencyId: 'bitcoind',
      volumeId: 'main',
      subpath: null,
      mountpoint: bitcoinDir,
      readonly: true,
    })
  // jd-manager accepts every IP address, but only these names.
  const hostNames = await sdk.host
    .getOwn(
      effects,
      'ui',
      (host) =>
        host?.bindings[uiPort]?.interfaces['ui']?.addressInfo.filter({
          kind: ['mdns', 'domain', 'plugin'],
        }).hostnames.map((name) => name.hostname) ?? [],
    )
    .const()
  const lastMinerPort = firstMinerPort + minerPortCount - 1
  return sdk.Daemons.of(effects).addDaemon('primary', {
    subcontainer: await sdk.SubContainer.of(
      effects,
      { imageId: 'jd-manager' },
      mounts,
      'jd-manager',
    ),
    exec: {
      command: sdk.useEntrypoint(['serve']),
      env: {
        JD_MANAGER_DATA_DIR: dataDir,
        JD_MANAGER_LISTEN: `0.0.0.0:${uiPort}`,
        JD_MANAGER_ALLOW_HOSTS: [...new Set(hostNames)].join(',') || undefined,
        JD_MANAGER_MINER_PORTS: `${firstMinerPort}-${lastMinerPort}`,
        JD_MANAGER_TRUSTED_PROXIES: await sdk.getOsIp(effects),
      },
      // The volume and the node's socket belong to root.
      user: 'root',
      // Clients stop in order, which takes up to 30 s.
      sigtermTimeout: 40_000,
    },
    ready: {
      display: 'Web page',
      fn: () =>
        sdk.healthCheck.checkPortListening(effects, uiPort, {
          successMessage: 'The web page is ready',
          errorMessage: 'The web page is not ready',
        }),
    },
    requires: [],
  })
})
