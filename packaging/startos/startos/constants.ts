// Facts that several parts of the package share.

export const uiPort = 3000
// The ports of all instances for miners, passed to jd-manager as --miner-ports.
export const firstMinerPort = 34200
export const minerPortCount = 100

// The volume in the container. The image sets JD_MANAGER_DATA_DIR to it.
export const dataDir = '/var/lib/jd-manager'
// Where setup and the node check look for the socket of Bitcoin Core (ipc/bitcoin-core.sock).
export const bitcoinDir = '/mnt/bitcoind'
