import { firstMinerPort, minerPortCount, uiPort } from './constants'
import { sdk } from './sdk'

export const setInterfaces = sdk.setupInterfaces(async ({ effects }) => {
  const uiOrigin = await sdk.MultiHost.of(effects, 'ui').bindPort(uiPort, {
    protocol: 'http',
  })
  const ui = await uiOrigin.export([
    sdk.createInterface(effects, {
      name: 'Web page',
      id: 'ui',
      description: 'The web page and the API of jd-manager',
      type: 'ui',
      masked: false,
      schemeOverride: null,
      username: null,
      path: '',
      query: {},
    }),
  ])
  const minerOrigin = await sdk.MultiHost.of(effects, 'miners').bindPortRange({
    internalStartPort: firstMinerPort,
    externalStartPort: firstMinerPort,
    numberOfPorts: minerPortCount,
  })
  await minerOrigin.export(
    sdk.createRangeInterface(effects, {
      id: 'miners',
      name: 'Miners',
      description:
        'Ports for Stratum V1 and V2 miners. The page of each instance shows its port.',
      scheme: 'tcp',
    }),
  )
  return [ui]
})
